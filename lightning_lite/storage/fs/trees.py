"""Copies, clones and removes whole folders, by descriptors, one level at a time."""

from __future__ import annotations

import os
from collections.abc import Callable
from stat import S_IMODE, S_ISREG

from lightning_lite.storage.base import OnProgress
from lightning_lite.storage.errors import DriveSourceChanged, DriveSymlink, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.copy import copy_bytes
from lightning_lite.storage.fs.symlinks import check_kind


def copy_file(
    source: int,
    target: int,
    info: os.stat_result,
    mode: int,
    *,
    name: str,
    durable: bool,
    on_progress: OnProgress,
) -> None:
    """Copy an open file into an open empty file, with its times.

    Args:
        source: Descriptor, at position 0.
        target: Descriptor of the copy.
        info: Status of the source when it was opened.
        mode: Permissions of the copy.
        name: Name of the source for errors.
        durable: Whether the copy is flushed to the disk.
        on_progress: Called with the number of bytes after each piece.
    """
    copy_bytes(source, target, info, name, on_progress)
    _finish(target, info, mode, durable=durable)


class TreeCopier:
    """Copies folders with the permissions and times of everything in them.

    Args:
        mode: Returns the permissions of a copy for the mode of its source.
        check: Refuses names that may not be copied; called with the names in a folder and its path below the
            top. `None` refuses none.
        check_folder: Refuses a folder that may not be copied; called with descriptor and path; may be `None`.
        open_link: Opens the target of the symbolic link at a path below the top; `None` refuses links.
        durable: Whether each copy is flushed to the disk.
        on_progress: Called with the number of bytes after each piece.
    """

    def __init__(
        self,
        *,
        mode: Callable[[int], int],
        check: Callable[[list[str], str], None] | None,
        check_folder: Callable[[int, str], None] | None,
        open_link: Callable[[str], int] | None,
        durable: bool,
        on_progress: OnProgress,
    ) -> None:
        self._mode = mode
        self._check = check
        self._check_folder = check_folder
        self._open_link = open_link
        self._durable = durable
        self._on_progress = on_progress
        self._modes: dict[int, int] = {}
        self._kept_modes: set[int] = (
            set()
        )  # permissions that a new file gets in full, because the umask does not reduce them
        self._open_folders: list[tuple[int, int]] = []

    def copy_folder(self, source: int, target: int, path: str = "") -> None:
        """Copy the content of the open folder `source` into the open empty folder `target`."""
        before = syscalls.fstat(source)
        identity = (before.st_dev, before.st_ino)
        if identity in self._open_folders:
            raise DriveSymlink(
                f"A symbolic link at {shown(path)} leads back to a folder above it; remove it."
            )
        if self._check_folder is not None:
            self._check_folder(source, path)
        self._open_folders.append(identity)
        with syscalls.scandir(source) as found:
            entries = list(found)
        if self._check is not None:
            self._check([entry.name for entry in entries], path)
        prefix = f"{path}/" if path else ""
        for entry in entries:
            name = entry.name
            inner = self._open(source, entry, prefix + name)
            try:
                self._copy_open(inner, target, name, prefix + name)
            finally:
                syscalls.close(inner)
        self._open_folders.remove(identity)
        if syscalls.fstat(source).st_mtime_ns != before.st_mtime_ns:
            raise DriveSourceChanged(
                f"The folder {shown(path or '.')} changed while it was copied; try again."
            )
        # The top stays writable for now: rename() of a folder needs that.
        mode = self._new_mode(before) | (0 if path else 0o700)
        _finish(target, before, mode, durable=self._durable)

    def _open(self, folder: int, entry: os.DirEntry[str], path: str) -> int:
        if entry.is_file(follow_symlinks=False) or entry.is_dir(follow_symlinks=False):
            return syscalls.open_file(entry.name, syscalls.READ, dir_fd=folder)
        if not entry.is_symlink():
            check_kind(entry.stat(follow_symlinks=False).st_mode, path)
        if self._open_link is None:
            raise DriveSymlink(f"{shown(path)} is a symbolic link in the drive, made by hand; remove it.")
        return self._open_link(path)

    def _copy_open(self, source: int, folder: int, name: str, path: str) -> None:
        info = syscalls.fstat(source)
        if S_ISREG(info.st_mode):
            mode = self._new_mode(info)
            copy = syscalls.open_file(name, syscalls.CREATE, mode, dir_fd=folder)
            try:
                copy_bytes(source, copy, info, path, self._on_progress)
                if mode not in self._kept_modes:
                    self._set_mode(copy, mode)
                syscalls.utime(copy, ns=(info.st_atime_ns, info.st_mtime_ns))
                if self._durable:
                    syscalls.fsync(copy)
            finally:
                syscalls.close(copy)
            return
        check_kind(info.st_mode, path)
        syscalls.mkdir(name, 0o700, dir_fd=folder)
        copy = syscalls.open_file(name, syscalls.FOLDER, dir_fd=folder)
        try:
            self.copy_folder(source, copy, path)
        finally:
            syscalls.close(copy)

    def _new_mode(self, info: os.stat_result) -> int:
        mode = self._modes.get(info.st_mode)
        if mode is None:
            mode = self._modes[info.st_mode] = self._mode(info.st_mode)
        return mode

    def _set_mode(self, target: int, mode: int) -> None:
        if S_IMODE(syscalls.fstat(target).st_mode) == mode:
            self._kept_modes.add(mode)
        else:
            syscalls.fchmod(target, mode)


def _finish(target: int, info: os.stat_result, mode: int, *, durable: bool) -> None:
    syscalls.fchmod(target, mode)
    syscalls.utime(target, ns=(info.st_atime_ns, info.st_mtime_ns))
    if durable:
        syscalls.fsync(target)


def clone_tree(source: int, target: int, skip: tuple[str, ...]) -> None:
    """Fill the empty folder `target` with hard links to the files in `source`, except for the path `skip`.

    The clone is flushed, because the content of `source` may have been put durably.
    """
    before = syscalls.fstat(source)
    with syscalls.scandir(source) as entries:
        for entry in entries:
            skipped = bool(skip) and entry.name == skip[0]
            if skipped and len(skip) == 1:
                continue
            if not entry.is_dir(follow_symlinks=False):
                syscalls.link(
                    entry.name, entry.name, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False
                )
                continue
            syscalls.mkdir(entry.name, 0o700, dir_fd=target)
            inner = syscalls.open_file(entry.name, syscalls.FOLDER, dir_fd=source)
            try:
                copy = syscalls.open_file(entry.name, syscalls.FOLDER, dir_fd=target)
                try:
                    clone_tree(inner, copy, skip[1:] if skipped else ())
                finally:
                    syscalls.close(copy)
            finally:
                syscalls.close(inner)
    syscalls.fchmod(target, before.st_mode & 0o7777)
    syscalls.utime(target, ns=(before.st_atime_ns, before.st_mtime_ns))
    syscalls.fsync(target)


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
    fd = syscalls.open_file(name, syscalls.FOLDER, dir_fd=parent)
    try:
        if not syscalls.try_lock(fd) or not empty_folder(fd):
            return False
    finally:
        syscalls.close(fd)
    syscalls.rmdir(name, dir_fd=parent)
    return True


def is_same(fd: int, path: str, dir_fd: int | None = None) -> bool:
    """Return whether the open file or folder is still the one at `path`."""
    there = syscalls.stat_if_exists(path, dir_fd)
    here = syscalls.fstat(fd)
    return there is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
