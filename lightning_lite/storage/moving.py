"""`put(move=True)`: what is put is used up, so that nothing has to be copied where that is possible.

A source is given up only when the drive has it. A file becomes a second name of the same data and
then loses its first one; a folder is renamed into the drive if nothing is there yet. What can't be
moved is copied and then removed.

Files lose the right to write before they are in the drive, and get it back if they do not come there. Who
is killed in between leaves read-only files where they came from, and never writable ones in the drive.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from stat import S_ISDIR, S_ISREG

from lightning_lite.storage import disk
from lightning_lite.storage.modes import restored_mode, stored_mode
from lightning_lite.storage.staging import Aside
from lightning_lite.storage.store import Source
from lightning_lite.storage.trees import empty_folder, is_same


class HasSecondName(Exception):
    """A file that is to be moved with its folder could be changed under another name, or is none any more."""


@contextmanager
def second_name(fd: int, source: Source, aside: Aside) -> Iterator[str | None]:
    """Give the open source file a second name aside, for the `with` block.

    Who cleans there leaves it alone, because the file itself is locked until its descriptor is closed.

    Yields:
        Its path there, or `None` if it has to be copied.
    """
    path = aside.new_path()
    try:
        yield path if _is_linked(fd, source, path) else None
    finally:
        with suppress(OSError):  # it is in the drive, or there was none
            disk.unlink(path)


def _is_linked(fd: int, source: Source, path: str) -> bool:
    if disk.fstat(fd).st_nlink != 1 or not is_same(fd, source.path):
        return False  # somebody could change it under another name, or it is behind a link
    try:
        if not disk.try_lock(fd):
            return False  # its user has locked it
        disk.link(source.path, path, follow_symlinks=False)
    except OSError:
        return False  # another file system, or one without links
    return is_same(fd, path)


@contextmanager
def protected(fd: int, path: str) -> Iterator[None]:
    """Give what is moved in the `with` block the permissions of things in a drive.

    Args:
        fd: A file, or a folder with all that is in it.
        path: Where it comes from; if it is there afterwards, it gets its own permissions back.

    Raises:
        HasSecondName: A file in the folder can't be moved; nothing has changed.
    """
    _protect(fd)
    try:
        yield
    finally:
        if is_same(fd, path):
            _unprotect(fd)


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
    """Say whether an open folder may be in a drive as it is, without links in it.

    Args:
        fd: The folder.
        source: What it is, or lies in.
        path: Where, below the source.
    """
    if not path and not is_same(fd, source.path):
        return False  # the source is a link itself
    source.bounds.refuse_root(fd, path)
    with disk.scandir(fd) as found:
        entries = list(found)
    source.admit([entry.name for entry in entries], path)
    prefix = f"{path}/" if path else ""
    return all(_is_entry_movable(fd, entry, source, prefix) for entry in entries)


def _is_entry_movable(folder: int, entry: os.DirEntry[str], source: Source, prefix: str) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return entry.is_file(follow_symlinks=False)
    fd = disk.open_file(entry.name, disk.FOLDER, dir_fd=folder)
    try:
        return is_movable(fd, source, prefix + entry.name)
    finally:
        disk.close(fd)


def _protect(fd: int) -> None:
    mode = disk.fstat(fd).st_mode
    names = disk.listdir(fd) if S_ISDIR(mode) else []
    done = 0
    try:
        for name in names:
            inner = disk.open_file(name, disk.READ, dir_fd=fd)
            try:
                _protect_within(inner)
            finally:
                disk.close(inner)
            done += 1
        disk.fchmod(fd, stored_mode(mode))
    except BaseException:
        for name in names[:done]:
            _unprotect_at(fd, name)
        raise


def _protect_within(fd: int) -> None:
    info = disk.fstat(fd)
    if S_ISREG(info.st_mode) and info.st_nlink == 1:
        disk.fchmod(fd, stored_mode(info.st_mode))
    elif S_ISDIR(info.st_mode):
        _protect(fd)
    else:
        raise HasSecondName


def _unprotect(fd: int) -> None:
    mode = disk.fstat(fd).st_mode
    for name in disk.listdir(fd) if S_ISDIR(mode) else []:
        _unprotect_at(fd, name)
    disk.fchmod(fd, restored_mode(mode))


def _unprotect_at(folder: int, name: str) -> None:
    fd = disk.open_file(name, disk.READ, dir_fd=folder)
    try:
        _unprotect(fd)
    finally:
        disk.close(fd)
