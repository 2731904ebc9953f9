"""Where a `get` brings things: a place in the user's own folders, changed in one step.

The folder of that place is opened, and all work goes by its descriptor: a folder that becomes a link
meanwhile leads nothing anywhere else.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISDIR, S_ISLNK

from lightning_lite.storage import disk
from lightning_lite.storage.errors import (
    DriveExists,
    DriveIsDirectory,
    DriveNotADirectory,
    DriveSymlink,
    shown,
)
from lightning_lite.storage.links import is_inside, open_beneath
from lightning_lite.storage.replacing import move_folder, replace_folder, restore_replaced
from lightning_lite.storage.rooms import OpenFolder, staging_beside
from lightning_lite.storage.staging import Aside, Staged

#: What a system says if things can't be staged in the drive: another disk, or one that is read-only.
_NOT_THERE = frozenset({errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM})

#: What it says if something is a link or a file and no folder.
_NO_FOLDER = frozenset({errno.ELOOP, errno.ENOTDIR})


class Destination:
    """The place of one `get`.

    Args:
        folder: Absolute folder that it may not leave.
        parts: Path below it.
        overwrite: Whether a folder that is there may be replaced.

    Attributes:
        path: The place.
    """

    def __init__(self, folder: str, parts: tuple[str, ...], *, overwrite: bool) -> None:
        self.path = "/".join((folder, *parts))
        self._folder = folder
        self._parts = parts
        self._name = parts[-1]
        self._overwrite = overwrite

    def admit(self, *, is_folder: bool) -> None:
        """Refuse what can't be brought here, before anything is copied."""
        with self._parent() as (parent, missing):
            if not missing:
                restore_replaced(parent)
                self._admit_in(parent, is_folder=is_folder)

    def is_near(self, aside: Aside) -> bool:
        """Return whether `aside` is on the same file system, so that things can be moved here from there."""
        there = disk.look(aside.folder)
        with self._parent() as (parent, _):
            return there is not None and there.st_dev == disk.fstat(parent.fd).st_dev

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
            disk.rename(staged.path, self._name, src_dir_fd=staged.dir_fd, dst_dir_fd=parent.fd)
            return True
        if disk.look(self._name, parent.fd) is None:
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
                disk.mkdir(folder, 0o777, dir_fd=top.dir_fd)
            inner = f"{folder}/{self._name}"
            disk.rename(staged.path, inner, src_dir_fd=staged.dir_fd, dst_dir_fd=top.dir_fd)
            highest = f"{top.path}/{missing[0]}"
            try:
                disk.rename(highest, missing[0], src_dir_fd=top.dir_fd, dst_dir_fd=parent.fd)
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                disk.rename(inner, staged.path, src_dir_fd=top.dir_fd, dst_dir_fd=staged.dir_fd)
                return False  # somebody made the parents at the same time
        return True

    def _admit_in(self, parent: OpenFolder, *, is_folder: bool) -> None:
        there = disk.look(self._name, parent.fd)
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
        fd = disk.open_file(path, disk.FOLDER & ~os.O_NOFOLLOW)
        try:
            while missing:
                try:
                    inner = disk.open_file(missing[0], disk.FOLDER, dir_fd=fd)
                except FileNotFoundError:
                    break
                except OSError as error:
                    if error.errno not in _NO_FOLDER:
                        raise
                    inner = self._open_linked(f"{path}/{missing[0]}")
                disk.close(fd)
                fd, path, missing = inner, f"{path}/{missing[0]}", missing[1:]
            yield OpenFolder(fd, path), missing
        finally:
            disk.close(fd)

    def _open_linked(self, path: str) -> int:
        """Open the folder that a parent is a link to, if it lies where it may."""
        there = disk.look(path)
        if there is not None and not S_ISLNK(there.st_mode):
            raise DriveNotADirectory(
                f"{shown(path)} is a file, so nothing can be brought below it; remove it."
            )
        folder, real = disk.realpath(self._folder), disk.realpath(path)
        if not is_inside(real, folder):
            raise DriveSymlink(
                f"{shown(path)} leads out of {shown(self._folder)} by a symbolic link; remove it."
            )
        try:
            return open_beneath(folder, real[len(folder) :].split("/"), last=disk.FOLDER)
        except OSError as error:
            if error.errno not in (*_NO_FOLDER, errno.ENOENT):
                raise
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link that leads to no folder; remove it."
            ) from None


def needs_other_place(error: OSError) -> bool:
    """Return whether staging failed because of where, not because of what."""
    return error.errno in _NOT_THERE
