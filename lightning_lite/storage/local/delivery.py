"""Writes the result of a `get` into the user's folders, in one step.

The folder of that place is opened, and all work goes by its descriptor: a folder that becomes a link
meanwhile leads nothing anywhere else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from stat import S_ISDIR, S_ISLNK
from typing import NamedTuple

from lightning_lite.storage.base import Destination
from lightning_lite.storage.errors import (
    DriveExists,
    DriveIsDirectory,
    DriveNotADirectory,
    DriveSymlink,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.locks import sign, wait_for
from lightning_lite.storage.fs.symlinks import is_inside, open_beneath
from lightning_lite.storage.fs.trees import is_same
from lightning_lite.storage.local.staging import Aside, Staged
from lightning_lite.storage.names import RESERVED

#: Name of the room in which things are staged that can't be staged in the drive.
STAGING = f"{RESERVED}.staging"

#: Name of the file in a room that says who holds it.
HOLDER = f"{RESERVED}.holder"


class OpenFolder(NamedTuple):
    """A folder of the user's.

    Attributes:
        fd: Its descriptor.
        path: Where it was when it was opened, for errors.
    """

    fd: int
    path: str


@contextmanager
def staging_beside(folder: OpenFolder) -> Iterator[Aside]:
    """Give a place for staging in `folder`, without what dead processes have left in it."""
    with _room(folder, STAGING, syscalls.LOCK_SH) as fd:
        aside = Aside(".", fd)
        aside.sweep()
        yield aside


@contextmanager
def held_room(folder: OpenFolder, name: str) -> Iterator[int]:
    """Give the descriptor of the room `name` in `folder`; nobody else has it meanwhile."""
    with _room(folder, name, syscalls.LOCK_EX) as fd:
        with suppress(OSError):  # what is below works without it
            holder = syscalls.open_file(HOLDER, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=fd)
            sign(holder)
            syscalls.close(holder)
        try:
            yield fd
        finally:
            with suppress(OSError):  # the next holder signs in its place
                syscalls.unlink(HOLDER, dir_fd=fd)


@contextmanager
def _room(folder: OpenFolder, name: str, kind: int) -> Iterator[int]:
    """Make the room and hold its lock; it goes at the end, if nobody else is in it and it is empty."""
    fd = _open_locked(folder, name, kind)
    try:
        yield fd
    finally:
        with suppress(OSError):  # not empty, or not ours to remove: the next one here does
            if syscalls.try_lock(fd):
                syscalls.rmdir(name, dir_fd=folder.fd)
        syscalls.close(fd)


def _open_locked(folder: OpenFolder, name: str, kind: int) -> int:
    while True:
        with suppress(FileExistsError):
            syscalls.mkdir(name, 0o700, dir_fd=folder.fd)
        try:
            fd = syscalls.open_file(name, syscalls.FOLDER, dir_fd=folder.fd)
        except FileNotFoundError:
            continue  # the last one in it removed it
        try:
            wait_for(fd, kind, f"{folder.path}/{name}", HOLDER, fd)
            if is_same(fd, name, folder.fd):
                return fd
        except BaseException:
            syscalls.close(fd)
            raise
        syscalls.close(fd)


#: Name of the room in which a folder that is replaced lies under its own name for a moment.
REPLACED = f"{RESERVED}.replaced"


def replace_folder(new: Staged, parent: OpenFolder, name: str) -> bool:
    """Bring the folder `new` to the place of the one that is called `name` in `parent`.

    Returns:
        Whether it is there now; if not, somebody else brought something there at the same time.

    Raises:
        OSError: It can't be brought there; the old one is at its place.
    """
    if syscalls.exchange(new.path, name, new.dir_fd, parent.fd):
        return True
    with held_room(parent, REPLACED) as room:
        _restore(room, parent.fd)
        syscalls.rename(name, name, src_dir_fd=parent.fd, dst_dir_fd=room)
        try:
            return move_folder(new, parent, name)
        finally:
            with suppress(OSError):  # what can't be put back or removed now, the next one here does
                _restore(room, parent.fd)


def move_folder(new: Staged, parent: OpenFolder, name: str) -> bool:
    """Bring the folder `new` into `parent`, and say whether it is there; if not, something else is by now."""
    try:
        syscalls.rename(new.path, name, src_dir_fd=new.dir_fd, dst_dir_fd=parent.fd)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def restore_replaced(parent: OpenFolder) -> None:
    """Bring back what somebody took from its place in `parent` and did not live to replace."""
    if syscalls.look(REPLACED, parent.fd) is not None:
        with held_room(parent, REPLACED) as room:
            _restore(room, parent.fd)


def _restore(room: int, parent: int) -> None:
    """Put back what has lost its place, and remove what has been replaced; called with the room held."""
    trash = Aside(".", room)
    for name in syscalls.listdir(room):
        if name.startswith(RESERVED):
            continue
        if syscalls.look(name, parent) is None:
            syscalls.rename(name, name, src_dir_fd=room, dst_dir_fd=parent)
        else:
            # Renamed before it is removed: half of it must never be taken for what goes back.
            syscalls.rename(name, trash.new_path(), src_dir_fd=room, dst_dir_fd=room)
    trash.sweep()


#: What a system says if things can't be staged in the drive: another disk, or one that is read-only.
_NOT_THERE = frozenset({errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM})

#: What it says if something is a link or a file and no folder.
_NO_FOLDER = frozenset({errno.ELOOP, errno.ENOTDIR})


class Delivery:
    """Brings what one `get` has copied to its destination.

    Args:
        destination: That place.
    """

    def __init__(self, destination: Destination) -> None:
        self.path = destination.path
        self._folder = destination.folder
        self._parts = destination.parts
        self._name = destination.parts[-1]
        self._overwrite = destination.overwrite

    def admit(self, *, is_folder: bool) -> None:
        """Refuse what can't be brought here, before anything is copied."""
        with self._parent() as (parent, missing):
            if not missing:
                restore_replaced(parent)
                self._admit_in(parent, is_folder=is_folder)

    def is_near(self, aside: Aside) -> bool:
        """Return whether `aside` is on the same file system, so that things can be moved here from there."""
        there = syscalls.look(aside.folder)
        with self._parent() as (parent, _):
            return there is not None and there.st_dev == syscalls.fstat(parent.fd).st_dev

    @contextmanager
    def beside(self) -> Iterator[Aside]:
        """Give a place for staging on the file system of the destination itself."""
        with self._parent() as (parent, _), staging_beside(parent) as aside:
            yield aside

    def place(self, staged: Staged, aside: Aside, *, is_folder: bool) -> None:
        """Bring what is staged to its place."""
        placed = False
        while not placed:  # somebody else may make or remove things there at the same time
            with self._parent() as (parent, missing):
                if missing:
                    placed = self._place_with_parents(staged, parent, missing, aside)
                else:
                    placed = self._place(staged, parent, is_folder=is_folder)

    def _place(self, staged: Staged, parent: OpenFolder, *, is_folder: bool) -> bool:
        if not is_folder:
            syscalls.rename(staged.path, self._name, src_dir_fd=staged.dir_fd, dst_dir_fd=parent.fd)
            return True
        if syscalls.look(self._name, parent.fd) is None:
            return move_folder(staged, parent, self._name)
        self._admit_in(parent, is_folder=True)
        return replace_folder(staged, parent, self._name)

    def _place_with_parents(
        self, staged: Staged, parent: OpenFolder, missing: tuple[str, ...], aside: Aside
    ) -> bool:
        with aside.new_folder() as top:
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
                return False  # somebody made the parents at the same time
        return True

    def _admit_in(self, parent: OpenFolder, *, is_folder: bool) -> None:
        there = syscalls.look(self._name, parent.fd)
        if there is None:
            return
        if not S_ISDIR(there.st_mode):
            if is_folder:
                raise DriveNotADirectory(
                    f"{shown(self.path)} is a file, so the folder can't be brought there; remove it, or "
                    f"pass to=..."
                )
        elif not is_folder:
            raise DriveIsDirectory(
                f"{shown(self.path)} is a folder, so the file can't be brought there; remove it, or pass "
                f"to=..."
            )
        elif not self._overwrite:
            raise DriveExists(
                f"The file {shown(self.path)} was found. Add get(..., overwrite=True) to replace it."
            )

    @contextmanager
    def _parent(self) -> Iterator[tuple[OpenFolder, tuple[str, ...]]]:
        """Open the lowest parent that exists, and give it with the names of those that do not."""
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
            yield OpenFolder(fd, path), missing
        finally:
            syscalls.close(fd)

    def _open_linked(self, path: str) -> int:
        """Open the folder that a parent is a link to, if it lies where it may."""
        there = syscalls.look(path)
        if there is not None and not S_ISLNK(there.st_mode):
            raise DriveNotADirectory(
                f"{shown(path)} is a file, so nothing can be brought below it; remove it."
            )
        folder, real = syscalls.realpath(self._folder), syscalls.realpath(path)
        if not is_inside(real, folder):
            raise DriveSymlink(
                f"{shown(path)} leads out of {shown(self._folder)} by a symbolic link; remove it."
            )
        try:
            return open_beneath(folder, real[len(folder) :].split("/"), last=syscalls.FOLDER)
        except OSError as error:
            if error.errno not in (*_NO_FOLDER, errno.ENOENT):
                raise
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link that leads to no folder; remove it."
            ) from None


def needs_other_place(error: OSError) -> bool:
    """Return whether staging failed because of where, not because of what."""
    return error.errno in _NOT_THERE
