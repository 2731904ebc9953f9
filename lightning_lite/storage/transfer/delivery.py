"""Writes the result of a `get` into the user's folders, in one step.

The parent folder of the destination is opened once, and all operations use its descriptor: if the folder or
one of its parents is replaced by a symbolic link, we still operate on the folder that we opened.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from stat import S_IMODE, S_IRWXU, S_ISDIR, S_ISLNK
from typing import NamedTuple

from lightning_lite.storage.base import Destination, OnProgress
from lightning_lite.storage.errors import (
    DriveExists,
    DriveIsDirectory,
    DriveNotADirectory,
    DriveSymlink,
    DriveWarning,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import (
    TreeCopier,
    copy_file,
    is_inside,
    open_beneath,
    path_only,
    restored_mode,
    warn_of_loss,
)
from lightning_lite.storage.fs.locks import wait_for, write_holder
from lightning_lite.storage.fs.sqlite_logs import PAGE, log_of
from lightning_lite.storage.fs.symlinks import Links, broken_link
from lightning_lite.storage.names import RESERVED
from lightning_lite.storage.transfer.staging import Staged, StagingFolder
from lightning_lite.tracebacks import warn_user

#: Name of the folder next to a destination in which files are staged that cannot be staged in the drive.
STAGING = f"{RESERVED}.staging"

#: Name of the folder that contains a replaced folder, under its own name, for a moment.
REPLACED = f"{RESERVED}.replaced"

#: Name of the file in such a folder into which the process that holds it writes its pid and host.
HOLDER = f"{RESERVED}.holder"

#: Errors if files cannot be staged in the drive: it is on another disk, or on one that is read-only.
_NOT_THERE = frozenset({errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM})

#: Errors if a symbolic link or a file is in the place of a folder.
_NO_FOLDER = frozenset({errno.ELOOP, errno.ENOTDIR})


class Delivery:
    """Writes a file or a folder to the destination of one `get`.

    Args:
        destination: The path in the user's folders.

    Attributes:
        path: Its absolute path.
    """

    def __init__(self, destination: Destination) -> None:
        self.path = "/".join((destination.folder, *destination.parts))
        self._folder = destination.folder
        self._parts = destination.parts
        self._name = destination.parts[-1]
        self._overwrite = destination.overwrite
        self._follow_symlinks = destination.follow_symlinks

    def copy(self, fd: int, staging: StagingFolder, on_progress: OnProgress | None) -> None:
        """Copy an open file or folder to the destination.

        Args:
            fd: Its descriptor.
            staging: Staging folder of the drive, used if a `rename` from there to the destination works; else
                the copy is staged next to the destination.
            on_progress: Called with the number of bytes after each piece, or `None`.
        """
        info = syscalls.fstat(fd)
        is_folder, mode = S_ISDIR(info.st_mode), restored_mode(info.st_mode)
        fill = partial(self._fill, fd, info, on_progress)
        if self._check(staging, is_folder=is_folder):
            try:
                self._write(fill, mode, staging, is_folder=is_folder)
                return
            except OSError as error:
                if error.errno not in _NOT_THERE:
                    raise
        self._write_nearby(fill, mode, is_folder=is_folder)

    def write(self, fill: Callable[[Staged], None], mode: int, *, is_folder: bool) -> None:
        """Write a new file or folder to the destination, in one step.

        Args:
            fill: Writes the content, with permissions and times, into an empty file or folder.
            mode: Permissions of the file or folder.
            is_folder: Which of the two it is.
        """
        self._check(None, is_folder=is_folder)
        self._write_nearby(fill, mode, is_folder=is_folder)

    def _write_nearby(self, fill: Callable[[Staged], None], mode: int, *, is_folder: bool) -> None:
        with self._parent() as (parent, _), staging_in(parent) as nearby:
            self._write(fill, mode, nearby, is_folder=is_folder)

    def _check(self, staging: StagingFolder | None, *, is_folder: bool) -> bool:
        """Refuse a destination where the file or folder may not be written, before anything is copied.

        Returns:
            Whether `staging` and the destination are on one file system, so that `rename` works.
        """
        with self._parent() as (parent, missing):
            if not missing:
                restore_replaced(parent)
                self._check_in(parent, is_folder=is_folder)
            if staging is None or staging.is_shared:
                return False  # another user could exchange the copy before it is moved to the destination
            there = syscalls.stat_if_exists(staging.folder)
            return there is not None and there.st_dev == syscalls.fstat(parent.fd).st_dev

    def _write(
        self, fill: Callable[[Staged], None], mode: int, staging: StagingFolder, *, is_folder: bool
    ) -> None:
        """Let `fill` write to `staging`, and move the result from there to the destination."""
        with staging.new_folder() if is_folder else staging.new_file() as staged:
            fill(staged)
            self._move(staged, staging, is_folder=is_folder)
            if is_folder:
                syscalls.set_mode(staged.fd, mode)  # it was writable, because rename() of a folder needs that
            else:
                staged.is_placed = True

    def _fill(self, fd: int, info: os.stat_result, on_progress: OnProgress | None, staged: Staged) -> None:
        """Copy an open file or folder to a new one."""
        if S_ISDIR(info.st_mode):
            copier = TreeCopier(
                mode=restored_mode,
                check=None,
                check_folder=None,
                open_link=_refuse_link,
                links=Links(fd),
                durable=False,
                on_progress=on_progress,
            )
            copier.copy_folder(fd, staged.fd)
            lost = copier.lost
        else:
            lost = set()
            syscalls.lseek(fd, 0, syscalls.SEEK_SET)  # an attempt to stage it elsewhere may have read it
            copy_file(
                fd,
                staged.fd,
                info,
                restored_mode(info.st_mode),
                name=self.path,
                durable=False,
                on_progress=on_progress,
                lost=lost,
            )
            self.warn_of_log(fd)
        warn_of_loss(self.path, lost)

    def warn_of_log(self, fd: int) -> None:
        """Warn if the file is an SQLite database, and the log of another one is next to the destination.

        Args:
            fd: Descriptor of the file, for reading.
        """
        size = syscalls.fstat(fd).st_size
        if not size or size % PAGE:
            return
        with self._parent() as (parent, missing):
            log = None if missing else log_of(fd, self._name, parent.fd)
        if log is not None:
            warn_user(
                f"{shown(self.path)} is an SQLite database, and {shown(log)} next to it is the log of "
                f"another one, which SQLite would apply to it: remove that log when no process uses the old "
                f"database, unless you get it, too.",
                DriveWarning,
            )

    def _move(self, staged: Staged, staging: StagingFolder, *, is_folder: bool) -> None:
        """Move the staged file or folder to the destination."""
        placed = False
        while not placed:  # other processes may change the destination at the same time
            with self._parent() as (parent, missing):
                if missing:
                    placed = self._place_with_parents(staged, parent, missing, staging)
                else:
                    placed = self._place(staged, parent, is_folder=is_folder)

    def _place(self, staged: Staged, parent: ParentFolder, *, is_folder: bool) -> bool:
        if not is_folder:
            syscalls.rename(staged.path, self._name, src_dir_fd=staged.dir_fd, dst_dir_fd=parent.fd)
            return True
        if syscalls.stat_if_exists(self._name, parent.fd) is None:
            return move_folder(staged, parent, self._name)
        self._check_in(parent, is_folder=True)
        return replace_folder(staged, parent, self._name)

    def _place_with_parents(
        self, staged: Staged, parent: ParentFolder, missing: tuple[str, ...], staging: StagingFolder
    ) -> bool:
        with staging.new_folder() as top:
            folder = top.path
            for part in missing:
                folder = f"{folder}/{part}"
                syscalls.mkdir(folder, 0o777, dir_fd=top.dir_fd)
            inner = f"{folder}/{self._name}"
            syscalls.rename(staged.path, inner, src_dir_fd=staged.dir_fd, dst_dir_fd=top.dir_fd)
            highest = f"{top.path}/{missing[0]}"
            try:
                syscalls.rename(highest, missing[0], src_dir_fd=top.dir_fd, dst_dir_fd=parent.fd)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                syscalls.rename(inner, staged.path, src_dir_fd=top.dir_fd, dst_dir_fd=staged.dir_fd)
                return False  # another process has made the parents at the same time
        return True

    def _check_in(self, parent: ParentFolder, *, is_folder: bool) -> None:
        there = syscalls.stat_if_exists(self._name, parent.fd)
        if there is None:
            return
        if not S_ISDIR(there.st_mode):
            if is_folder:
                kind = "a symbolic link" if S_ISLNK(there.st_mode) else "a file"
                raise DriveNotADirectory(
                    f"{shown(self.path)} is {kind}, so the folder can't be written there; remove it, or "
                    f"pass to=..."
                )
        elif not is_folder:
            raise DriveIsDirectory(
                f"{shown(self.path)} is a folder, so the file can't be written there; remove it, or pass "
                f"to=... with a '/' at its end to write into a folder."
            )
        elif not self._overwrite:
            raise DriveExists(
                f"The folder {shown(self.path)} was found. Add get(..., overwrite=True) to replace it, or "
                f"pass to=... with a '/' at its end to write into a folder."
            )

    @contextmanager
    def _parent(self) -> Iterator[tuple[ParentFolder, tuple[str, ...]]]:
        """Open the lowest parent that exists, and give it with the names of the missing parents."""
        path, missing = self._folder, self._parts[:-1]
        fd = syscalls.open_file(path, syscalls.FOLDER & ~os.O_NOFOLLOW)
        try:
            while missing:
                try:
                    inner = syscalls.open_file(missing[0], syscalls.FOLDER, dir_fd=fd)
                except FileNotFoundError:
                    break
                except OSError as error:
                    if error.errno not in _NO_FOLDER:
                        raise
                    inner = self._open_linked(f"{path}/{missing[0]}")
                syscalls.close(fd)
                fd, path, missing = inner, f"{path}/{missing[0]}", missing[1:]
            yield ParentFolder(fd, path), missing
        finally:
            syscalls.close(fd)

    def _open_linked(self, path: str) -> int:
        """Open the folder to which a parent is a symbolic link, if it is inside the allowed folder."""
        there = syscalls.stat_if_exists(path)
        if there is not None and not S_ISLNK(there.st_mode):
            raise DriveNotADirectory(
                f"{shown(path)} is a file, so nothing can be written below it; remove it."
            )
        folder, real = syscalls.realpath(self._folder), syscalls.realpath(path)
        link = broken_link(path)
        if link is not None:
            raise DriveSymlink(f"{link}: it does not lead to a folder; remove it.")
        if not is_inside(real, folder):
            if not self._follow_symlinks:
                raise DriveSymlink(
                    f"{shown(path)} is a symbolic link that leads out of {shown(self._folder)}; remove it, "
                    f"or pass get(..., follow_symlinks=True) to write there."
                )
            folder = "/"
        try:
            return open_beneath(folder, real[len(folder) :].split("/"), last=syscalls.FOLDER)
        except OSError as error:
            if error.errno not in (*_NO_FOLDER, errno.ENOENT):
                raise
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link that does not lead to a folder; remove it."
            ) from None


class ParentFolder(NamedTuple):
    """An open folder of the user into which a result is written: the lowest existing parent of a destination.

    Attributes:
        fd: Its descriptor.
        path: Its path when it was opened, for errors.
    """

    fd: int
    path: str


def replace_folder(new: Staged, parent: ParentFolder, name: str) -> bool:
    """Replace the folder `name` in `parent` with the folder `new`.

    Returns:
        Whether it was replaced; if not, another process has put something there at the same time.

    Raises:
        OSError: It cannot be replaced; the old folder is in its place.
    """
    try:
        with _renamable(parent.fd, name):
            if syscalls.exchange(new.path, name, new.dir_fd, parent.fd):
                return True
    except FileNotFoundError:
        pass  # another process is between the two steps of replacing it
    with exclusive_folder(parent, REPLACED) as inner:
        _restore(inner, parent.fd)
        with _renamable(parent.fd, name):
            syscalls.rename(name, name, src_dir_fd=parent.fd, dst_dir_fd=inner)
            try:
                return move_folder(new, parent, name)
            finally:
                with suppress(OSError):  # the next replacement here restores or removes it
                    _restore(inner, parent.fd)


@contextmanager
def _renamable(parent: int, name: str) -> Iterator[None]:
    """Give the owner all permissions for the folder `name`, which its move into another folder needs.

    If it is still at its place at the end of the `with` block, it gets its old permissions back.
    """
    with path_only(name, parent) as fd:
        mode = S_IMODE(syscalls.fstat(fd).st_mode)
        is_closed = mode & S_IRWXU != S_IRWXU
        if is_closed:
            with suppress(PermissionError):  # it belongs to another user: the move fails or does not need it
                syscalls.chmod_folder(fd, mode | S_IRWXU)
        try:
            yield
        finally:
            if is_closed and syscalls.is_same(fd, name, parent):
                with suppress(PermissionError):
                    syscalls.chmod_folder(fd, mode)


def _refuse_link(path: str) -> int:
    raise DriveSymlink(
        f"{shown(path)} is a symbolic link that leads out of the folder: get a folder that contains its "
        f"target, too. If it was made in the drive by hand, remove it."
    )


def move_folder(new: Staged, parent: ParentFolder, name: str) -> bool:
    """Move the folder `new` into `parent`, and return whether that worked; if not, the name exists by now."""
    try:
        syscalls.rename(new.path, name, src_dir_fd=new.dir_fd, dst_dir_fd=parent.fd)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def restore_replaced(parent: ParentFolder) -> None:
    """Move folders back whose replacement in `parent` was interrupted by the death of its process."""
    if syscalls.stat_if_exists(REPLACED, parent.fd) is not None:
        with exclusive_folder(parent, REPLACED) as inner:
            _restore(inner, parent.fd)


def _restore(inner: int, parent: int) -> None:
    """Move back each folder whose place is empty, remove the others; the caller holds the lock of `inner`."""
    trash = StagingFolder(".", inner)
    for name in syscalls.listdir(inner):
        if name.startswith(RESERVED):
            continue
        if syscalls.stat_if_exists(name, parent) is None:
            syscalls.rename(name, name, src_dir_fd=inner, dst_dir_fd=parent)
        else:
            # Rename before removal: after a crash, a folder that is half removed must not be moved back.
            syscalls.rename(name, trash.new_path(), src_dir_fd=inner, dst_dir_fd=inner)
    trash.sweep()


@contextmanager
def staging_in(folder: ParentFolder) -> Iterator[StagingFolder]:
    """Give a staging folder inside `folder`, without the leftovers of dead processes."""
    with _locked_folder(folder, STAGING, syscalls.LOCK_SH) as fd:
        staging = StagingFolder(".", fd)
        staging.sweep()
        yield staging


@contextmanager
def exclusive_folder(folder: ParentFolder, name: str) -> Iterator[int]:
    """Create the folder `name` in `folder`, lock it for this process alone, and give its descriptor."""
    with _locked_folder(folder, name, syscalls.LOCK_EX) as fd:
        with suppress(OSError):  # only the message of a timeout depends on it
            holder = syscalls.open_file(HOLDER, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=fd)
            write_holder(holder)
            syscalls.close(holder)
        try:
            yield fd
        finally:
            with suppress(OSError):  # the next holder overwrites it
                syscalls.unlink(HOLDER, dir_fd=fd)


@contextmanager
def _locked_folder(folder: ParentFolder, name: str, kind: int) -> Iterator[int]:
    """Create a folder and hold its lock; remove it at the end, if it is empty and no process uses it."""
    fd = _open_locked(folder, name, kind)
    try:
        yield fd
    finally:
        with suppress(OSError):  # not empty, or in use: its last user removes it
            if syscalls.try_lock(fd):
                syscalls.rmdir(name, dir_fd=folder.fd)
        syscalls.close(fd)


def _open_locked(folder: ParentFolder, name: str, kind: int) -> int:
    while True:
        with suppress(FileExistsError):
            syscalls.mkdir(name, 0o700, dir_fd=folder.fd)
        try:
            fd = syscalls.open_file(name, syscalls.FOLDER, dir_fd=folder.fd)
        except FileNotFoundError:
            continue  # its last user has just removed it
        try:
            wait_for(fd, kind, f"{folder.path}/{name}", HOLDER, fd)
            if syscalls.is_same(fd, name, folder.fd):
                return fd
        except BaseException:
            syscalls.close(fd)
            raise
        syscalls.close(fd)
