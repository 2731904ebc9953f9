"""`put(move=True)`: what is put is used up, so that nothing has to be copied where that is possible.

A source is given up only when the drive has it. A file becomes a second name of the same data and
then loses its first one; a folder is renamed into the drive if nothing is there yet. What can't be
moved is copied and then removed.
"""

from __future__ import annotations

import os
from stat import S_ISDIR, S_ISREG

from lightning_lite.storage import disk
from lightning_lite.storage.modes import stored_mode
from lightning_lite.storage.store import Source
from lightning_lite.storage.trees import empty_folder, is_same


def stage_link(fd: int, source: Source, top: str) -> str | None:
    """Give the open source file a second name in the folder `top`, aside.

    Returns:
        Its path there, or `None` if it has to be copied.
    """
    if disk.fstat(fd).st_nlink != 1 or not is_same(fd, source.path):
        return None  # somebody could change it under another name, or it is behind a link
    path = f"{top}/moved"
    try:
        disk.link(source.path, path, follow_symlinks=False)
    except OSError:
        return None  # another file system, or one without links
    return path if is_same(fd, path) else None


def protect(fd: int) -> None:
    """Give an open file or folder, and all that is in it, the permissions that things in a drive have."""
    info = disk.fstat(fd)
    if S_ISDIR(info.st_mode):
        with disk.scandir(fd) as entries:
            for entry in entries:
                inner = disk.open_file(entry.name, disk.READ, dir_fd=fd)
                try:
                    protect(inner)
                finally:
                    disk.close(inner)
    disk.fchmod(fd, stored_mode(info.st_mode))


def give_up(fd: int, path: str) -> None:
    """Remove a source that the drive has, unless something else is at its path by now."""
    if not is_same(fd, path):
        return
    if S_ISDIR(disk.fstat(fd).st_mode):
        if empty_folder(fd):
            disk.rmdir(path)
    else:
        disk.unlink(path)


def is_movable(fd: int, source: Source, path: str = "") -> bool:
    """Say whether an open folder may be in a drive as it is, without links and second names in it.

    Args:
        fd: The folder.
        source: What it is, or lies in.
        path: Where, below the source.
    """
    if not path and not is_same(fd, source.path):
        return False  # the source is a link itself
    source.bounds.refuse_root(fd, path)
    prefix = f"{path}/" if path else ""
    with disk.scandir(fd) as entries:
        return all(_is_entry_movable(fd, entry, source, prefix + entry.name) for entry in entries)


def _is_entry_movable(folder: int, entry: os.DirEntry[str], source: Source, path: str) -> bool:
    source.admit(entry.name, path)
    info = entry.stat(follow_symlinks=False)
    if not S_ISDIR(info.st_mode):
        return S_ISREG(info.st_mode) and info.st_nlink == 1
    fd = disk.open_file(entry.name, disk.FOLDER, dir_fd=folder)
    try:
        return is_movable(fd, source, path)
    finally:
        disk.close(fd)
