"""Writes files for tests, and reads folders as another process would."""

from __future__ import annotations

import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_lite.storage import Drive


def write(path: str | Path, text: str = "text") -> Path:
    """Write a text file and its parent folders; return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def modes_below(folder: Path) -> dict[str, str]:
    """Return kind and permissions of each path below a folder, as `ls` shows them."""
    return {str(path.relative_to(folder)): stat.filemode(path.stat().st_mode) for path in folder.rglob("*")}


@contextmanager
def pinned(folder: str | Path) -> Iterator[int]:
    """Pin a folder in a drive, as a reader does; yield its file descriptor.

    The pin is taken with `flock`, not with the functions of the package, because those are under test.
    """
    fd = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(fd, fcntl.LOCK_SH)
        yield fd
    finally:
        os.close(fd)


def while_read(step: Callable[[Drive], object]) -> Callable[[Drive], None]:
    """Return a step that runs `step` while a reader has pinned `folder` of the component `main`."""

    def do(drive: Drive) -> None:
        name = drive.id.removeprefix("lit://")
        with pinned(f"{drive.root_dir}/drives/{name}/main/folder"):
            step(drive)

    return do
