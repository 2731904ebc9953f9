"""Writes files for tests, and reads folders as another process would."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

from lightning_lite.storage import Drive


def write(path: str | Path, text: str = "text") -> Path:
    """Write a text file and its parent folders; return its path."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def while_read(step: Callable[[Drive], object]) -> Callable[[Drive], None]:
    """Return a step that runs `step` while a reader has pinned the folder `folder` of the component `main`.

    The pin is taken with `flock`, not with the functions of the package, because those are under test.
    """

    def do(drive: Drive) -> None:
        name = drive.id.removeprefix("lit://")
        fd = os.open(f"{drive.root_dir}/drives/{name}/main/folder", os.O_RDONLY)
        fcntl.flock(fd, fcntl.LOCK_SH)
        try:
            step(drive)
        finally:
            os.close(fd)

    return do
