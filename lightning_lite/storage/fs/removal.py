"""Removes folders with all that is in them, by their descriptors."""

from __future__ import annotations

from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.opening import path_only


def empty_folder(fd: int) -> bool:
    """Remove the content of a folder that no path leads to; the caller holds the lock of the folder.

    Returns:
        Whether it is empty now. A folder that a reader has locked stays; the next cleaning removes it.
    """
    if syscalls.fstat(fd).st_mode & 0o700 != 0o700:
        syscalls.fchmod(fd, 0o700)
    with syscalls.scandir(fd) as found:
        entries = list(found)
    emptied = True
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False):
            syscalls.unlink(entry.name, dir_fd=fd)
        elif not _remove_folder(fd, entry.name):
            emptied = False
    return emptied


def _remove_folder(parent: int, name: str) -> bool:
    try:
        fd = syscalls.open_file(name, syscalls.FOLDER, dir_fd=parent)
    except PermissionError:
        with path_only(name, parent) as closed:
            syscalls.chmod_folder(closed, 0o700)
        fd = syscalls.open_file(name, syscalls.FOLDER, dir_fd=parent)
    try:
        if not syscalls.try_lock(fd) or not empty_folder(fd):
            return False
    finally:
        syscalls.close(fd)
    syscalls.rmdir(name, dir_fd=parent)
    return True
