"""The source of a put with `move=True`: whether it may be moved, and its removal.

A source is moved only if the drive is then its single owner: no second hard link, no lock, no process that
can write to it through an open descriptor. Otherwise a later write would change the file in the drive.

A source is removed only as a whole, and only if nothing was written to it since it was copied.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from stat import S_IMODE, S_ISDIR, S_ISREG, S_ISVTX

from lightning_lite.storage.base import Source
from lightning_lite.storage.errors import DriveWarning, shown
from lightning_lite.storage.fs import probe, syscalls
from lightning_lite.storage.fs.files import Bounds, empty_folder, restored_mode, stored_mode
from lightning_lite.storage.transfer.staging import SourceCopy, StagingFolder
from lightning_lite.tracebacks import warn_user

#: Device and inode of a file or folder.
_Identity = tuple[int, int]


class NotMovable(Exception):
    """A file in a folder has a second name, is in use, or is not a regular file: it must be copied."""


def is_movable(fd: int, source: Source, bounds: Bounds, path: str = "") -> bool:
    """Return whether an open folder can become part of a drive as it is; symbolic links in it cannot.

    Args:
        fd: Descriptor of the folder.
        source: The source of the put, which is this folder or contains it.
        bounds: Refuses the folder that holds all drives.
        path: Path of the folder below the source.
    """
    if not path and not syscalls.is_same(fd, source.path):
        return False  # the source is a symbolic link
    bounds.refuse_root(fd, path)
    with syscalls.scandir(fd) as found:
        entries = list(found)
    source.check([entry.name for entry in entries], path)
    prefix = f"{path}/" if path else ""
    return all(_is_entry_movable(fd, entry, source, bounds, prefix) for entry in entries)


def _is_entry_movable(
    folder: int, entry: os.DirEntry[str], source: Source, bounds: Bounds, prefix: str
) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return entry.is_file(follow_symlinks=False)
    fd = syscalls.open_file(entry.name, syscalls.FOLDER, dir_fd=folder)
    try:
        return is_movable(fd, source, bounds, prefix + entry.name)
    finally:
        syscalls.close(fd)


@contextmanager
def hard_link(fd: int, source: Source, staging: StagingFolder) -> Iterator[str | None]:
    """Give the path of a hard link in the staging folder to the open source file, for the `with` block.

    The cleaning of the staging folder skips it, because the file is locked until its descriptor is closed.

    Yields:
        The path, or `None` if the file must be copied.
    """
    path = staging.new_path()
    try:
        yield path if _make_link(fd, source, path) else None
    finally:
        with suppress(OSError):  # it was moved into the drive, or no link was made
            syscalls.unlink(path)


def _make_link(fd: int, source: Source, path: str) -> bool:
    """Make a hard link of the open source file at `path`; return whether that can be moved into the drive."""
    if syscalls.fstat(fd).st_nlink != 1 or not syscalls.is_same(fd, source.path):
        return False  # it could be changed by its other name, or the source is a symbolic link
    try:
        if not syscalls.try_lock(fd):
            return False  # another process has locked it
        syscalls.link(source.path, path, follow_symlinks=False)
    except OSError:
        return False  # another file system, or one without hard links
    return syscalls.is_same(fd, path)


@contextmanager
def protected(fd: int, path: str) -> Iterator[None]:
    """Give the permissions of stored files to the source for the `with` block.

    Args:
        fd: Descriptor of a file, or of a folder; everything in it is included.
        path: Path of the source; if it is still there at the end, it gets its old permissions back.

    Raises:
        NotMovable: A file cannot be moved; nothing has changed.
    """
    permissions = _Permissions()
    permissions.protect(fd, links=2)
    try:
        yield
    finally:
        if syscalls.is_same(fd, path):
            permissions.restore(fd)


class _Permissions:
    """Changes the permissions of a source to the permissions of stored files, and back."""

    def __init__(self) -> None:
        # Those that the permissions in the drive do not record, such as set-id bits.
        self._special: dict[_Identity, int] = {}

    def protect(self, fd: int, links: int = 1) -> None:
        """Change an open file or folder and everything in it, or nothing.

        Args:
            fd: Its descriptor.
            links: Number of hard links that a file may have.

        Raises:
            NotMovable: It cannot be moved.
        """
        info = syscalls.fstat(fd)
        names = syscalls.listdir(fd) if S_ISDIR(info.st_mode) else []
        done = 0
        try:
            for name in names:
                inner = syscalls.open_file(name, syscalls.READ, dir_fd=fd)
                try:
                    self.protect(inner)
                finally:
                    syscalls.close(inner)
                done += 1
            self._protect_one(fd, info, links)
        except BaseException:
            for name in names[:done]:
                self._restore_at(fd, name)
            raise

    def restore(self, fd: int) -> None:
        """Give an open file or folder and everything in it the old permissions."""
        info = syscalls.fstat(fd)
        for name in syscalls.listdir(fd) if S_ISDIR(info.st_mode) else []:
            self._restore_at(fd, name)
        special = self._special.get((info.st_dev, info.st_ino))
        syscalls.fchmod(fd, restored_mode(info.st_mode) if special is None else special)

    def _protect_one(self, fd: int, info: os.stat_result, links: int) -> None:
        is_file = S_ISREG(info.st_mode)
        if not S_ISDIR(info.st_mode) and not (is_file and info.st_nlink <= links):
            raise NotMovable
        mode = stored_mode(info.st_mode)
        if restored_mode(mode) != S_IMODE(info.st_mode):
            self._special[info.st_dev, info.st_ino] = S_IMODE(info.st_mode)
        try:
            syscalls.fchmod(fd, mode)
        except PermissionError:
            raise NotMovable from None  # it belongs to another user
        # After the change of permissions: from now on, no other process opens the file for writing.
        if is_file and is_open_for_writing(fd, info.st_dev) is not False:
            self.restore(fd)
            raise NotMovable

    def _restore_at(self, folder: int, name: str) -> None:
        fd = syscalls.open_file(name, syscalls.READ, dir_fd=folder)
        try:
            self.restore(fd)
        finally:
            syscalls.close(fd)


def is_open_for_writing(fd: int, device: int) -> bool | None:
    """Return whether a process can write to an open file on a device; `None` if that can't be found out."""
    return syscalls.is_open_for_writing(fd) if probe.has_true_leases(device) else None


def place_obstacle(fd: int, path: str) -> str | None:
    """Return why an open source may not be taken away from `path`, or `None`."""
    folder = os.path.dirname(path)
    if syscalls.may_write(folder) and _may_remove_from(syscalls.stat(folder), syscalls.fstat(fd)):
        return None
    return f"its folder {shown(folder)} can't be written"


def content_obstacle(fd: int, path: str) -> str | None:
    """Return why an open source can't be removed with everything in it, or `None`.

    Args:
        fd: Descriptor of the file or folder.
        path: Its path, for the text.
    """
    info = syscalls.fstat(fd)
    if not S_ISDIR(info.st_mode):
        in_use = S_ISREG(info.st_mode) and is_open_for_writing(fd, info.st_dev)
        return f"a process has {shown(path)} open for writing" if in_use else None
    is_ours = info.st_uid == os.geteuid()  # then its permissions can be changed
    with syscalls.scandir(fd) as found:
        entries = list(found)
    if entries and not is_ours and not syscalls.may_write(".", fd):
        return f"the folder {shown(path)} can't be written"
    for entry in entries:
        if not entry.is_dir(follow_symlinks=False) and not entry.is_file(follow_symlinks=False):
            continue
        inner = syscalls.open_file(entry.name, syscalls.READ, dir_fd=fd)
        try:
            there = syscalls.fstat(inner)
            if there.st_dev != info.st_dev:
                return f"another file system is mounted at {shown(f'{path}/{entry.name}')}"
            if not _may_remove_from(info, there):
                return f"the folder {shown(path)} can't be written"
            obstacle = content_obstacle(inner, f"{path}/{entry.name}")
        finally:
            syscalls.close(inner)
        if obstacle is not None:
            return obstacle
    return None


def _may_remove_from(folder: os.stat_result, info: os.stat_result) -> bool:
    """Return whether the sticky bit of a folder allows this process to remove a name in it."""
    user = os.geteuid()
    return not folder.st_mode & S_ISVTX or user in (0, folder.st_uid, info.st_uid)


def remove_source(fd: int, path: str, reason_to_keep: Callable[[], str | None] = lambda: None) -> str | None:
    """Remove a source that the drive has, unless something else is at its path by now.

    It is renamed first. After that, only the file or folder with the new name is certainly the source,
    because another process can put something else at `path` at any time. If the rename fails, nothing was
    removed.

    Args:
        fd: Descriptor of the file or folder.
        path: Its path.
        reason_to_keep: Returns why the source must stay, or `None`. It is called when the source has the new
            name: from then on, no other process opens it by its path, so that the answer stays true.

    Returns:
        Why it stays, or `None`.
    """
    if not syscalls.is_same(fd, path):
        return None
    aside = StagingFolder(os.path.dirname(path)).new_path()
    try:
        syscalls.rename(path, aside)
    except FileNotFoundError:
        return None  # another process has just renamed or removed it
    except OSError as error:
        return _reason(error)
    if not syscalls.is_same(fd, aside):  # another process has just put something else there
        stays = _put_back(aside, path)
        return stays and f"another process has replaced it; {stays}"
    try:
        reason = reason_to_keep()
    except OSError as error:
        reason = _reason(error)
    except BaseException:  # Ctrl-C
        _put_back(aside, path)
        raise
    if reason is not None:
        return _put_back_and_explain(reason, aside, path)
    return _remove_folder(fd, aside) if S_ISDIR(syscalls.fstat(fd).st_mode) else _remove_file(aside, path)


def remove_copied(copy: SourceCopy) -> None:
    """Remove a source after its copy, unless it has changed since or is in use; then warn."""
    stays = _reason_to_keep(copy, is_renamed=False)
    if stays is None:
        stays = remove_source(copy.fd, copy.source.path, partial(_reason_to_keep, copy, is_renamed=True))
    if stays is not None:
        warn_that_it_stays(copy.source.path, stays)


def _reason_to_keep(copy: SourceCopy, *, is_renamed: bool) -> str | None:
    """Return why a source may not be removed after its copy, or `None`."""
    try:
        # Again: another process may have opened it during the copy.
        obstacle = content_obstacle(copy.fd, copy.source.path)
        if obstacle is not None or copy.is_unchanged(is_renamed=is_renamed):
            return obstacle
    except (FileNotFoundError, NotADirectoryError):
        pass
    return "it has changed since"


def warn_that_it_stays(path: str, reason: str) -> None:
    """Warn that the source of a move is not removed.

    Args:
        path: Its path.
        reason: Why.
    """
    warn_user(
        f"put(..., move=True) copies {shown(path)} and does not remove it: {reason}.",
        DriveWarning,
    )


def _remove_file(aside: str, path: str) -> str | None:
    try:
        syscalls.unlink(aside)
    except OSError as error:
        return _put_back_and_explain(_reason(error), aside, path)
    return None


def _put_back_and_explain(reason: str, aside: str, path: str) -> str:
    """Rename the source back; return why it stays, and where it is if it has no longer its path."""
    stays = _put_back(aside, path)
    return f"{reason}; {stays}" if stays else reason


def _remove_folder(fd: int, aside: str) -> str | None:
    try:
        if not empty_folder(fd):
            return f"a process reads it; the rest is {shown(aside)}"
        syscalls.rmdir(aside)
    except OSError as error:
        return f"{_reason(error)}; the rest is {shown(aside)}"
    return None


def _put_back(aside: str, path: str) -> str | None:
    """Rename back the file of `path`; return where it is if that fails, or if `path` exists again."""
    try:
        syscalls.rename_new(aside, path)
    except OSError as error:
        return f"the source is at {shown(aside)} now ({_reason(error)})"
    return None


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
