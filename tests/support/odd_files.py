"""Puts other things in the place of files: links, FIFOs, devices, folders, huge files, nonsense."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

#: Content of the file to which links lead.
PRECIOUS = "a precious file of the user\n"

_HUGE = 100 * 1000**3


def _link_to_file(path: Path) -> None:
    target = path.with_name(f"{path.name}.precious")
    target.write_text(PRECIOUS)
    path.symlink_to(target)


def _link_to_folder(path: Path) -> None:
    target = path.with_name(f"{path.name}.folder")
    target.mkdir(exist_ok=True)
    (target / "precious.txt").write_text(PRECIOUS)
    path.symlink_to(target)


def _folder(path: Path) -> None:
    path.mkdir()
    (path / "precious.txt").write_text(PRECIOUS)


def _huge(path: Path) -> None:
    path.touch()
    os.truncate(path, _HUGE)


def _lengthened(path: Path) -> None:
    os.truncate(path, _HUGE)


#: Puts a thing at a path where there is nothing; the last one changes the file that is there.
ODD: dict[str, Callable[[Path], object]] = {
    "a link to a file": _link_to_file,
    "a dangling link": lambda path: path.symlink_to(path.with_name("missing")),
    "a link to a folder": _link_to_folder,
    "a link to a device": lambda path: path.symlink_to("/dev/zero"),
    "a link to itself": lambda path: path.symlink_to(path),
    "a FIFO": os.mkfifo,
    "a device": lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5)),  # /dev/zero
    "a folder": _folder,
    "a huge file": _huge,
    "an empty file": Path.touch,
    "nonsense": lambda path: path.write_bytes(bytes(range(256)) * 40 + b"\xff\xfe\0" * 7),
    "deep JSON": lambda path: path.write_text("[" * 100_000),
    "the same file, but huge": _lengthened,
}

#: Things that are not regular files.
IRREGULAR = [kind for kind in ODD if kind.startswith("a ") and not kind.endswith("file")] + [
    "a link to a file"
]

is_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")


def each(kinds: list[str]) -> list[object]:
    """Return kinds as parameters of a test."""
    return [pytest.param(kind, marks=is_root) if kind == "a device" else kind for kind in kinds]


def put(kind: str, path: Path) -> None:
    """Put a thing in the place of a file or of nothing."""
    if ODD[kind] is not _lengthened:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
    elif not path.exists():
        path.touch()
    ODD[kind](path)


def snapshot(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Return kind, size and, for links and precious files, content of everything below a folder."""
    found: dict[str, tuple[int, int, str]] = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        content = os.readlink(path) if path.is_symlink() else ""
        if "precious" in path.name and stat.S_ISREG(status.st_mode):
            content = path.read_text()
        size = 0 if stat.S_ISDIR(status.st_mode) else status.st_size
        found[str(path.relative_to(folder))] = stat.S_IFMT(status.st_mode), size, content
    return found
