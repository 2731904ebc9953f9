"""Where a `get` brings things: a place in the user's own folders, changed in one step."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from stat import S_ISDIR

from lightning_lite.storage import disk
from lightning_lite.storage.errors import (
    DriveExists,
    DriveIsDirectory,
    DriveNotADirectory,
    DriveSymlink,
    shown,
)
from lightning_lite.storage.links import is_inside
from lightning_lite.storage.replacing import move_folder, replace_folder, restore_replaced
from lightning_lite.storage.staging import Aside, Staged

#: What a system says if things can't be staged in the drive: another disk, or one that is read-only.
_NOT_THERE = frozenset({errno.EXDEV, errno.EROFS, errno.EACCES, errno.EPERM})


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
        self._overwrite = overwrite

    def admit(self, *, is_folder: bool) -> None:
        """Refuse what can't be brought here, before anything is copied."""
        parent, missing = self._known_parent()
        if not missing:
            restore_replaced(parent)
        there = disk.look(self.path)
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

    def asides(self, preferred: Aside) -> Iterator[Aside]:
        """Return where things may be staged on the file system of the destination, the best place first."""
        parent, _ = self._known_parent()
        there = disk.look(preferred.folder)
        if there is not None and there.st_dev == disk.stat(parent).st_dev:
            yield preferred
        beside = Aside(parent)
        beside.sweep()
        yield beside

    def place(self, staged: Staged, aside: Aside, *, is_folder: bool) -> bool:
        """Bring what is staged to its place.

        Returns:
            Whether it could be moved there; if not, it has to be staged elsewhere.
        """
        try:
            self._place(staged, aside, is_folder=is_folder)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False
        return True

    def _place(self, staged: Staged, aside: Aside, *, is_folder: bool) -> None:
        while True:
            parent, missing = self._known_parent()
            if missing:
                if self._place_with_parents(staged, parent, missing, aside):
                    return
            elif not is_folder:
                disk.rename(staged.path, self.path)
                return
            elif disk.look(self.path) is not None:
                self.admit(is_folder=True)
                if replace_folder(staged.path, self.path):
                    return
            elif move_folder(staged.path, self.path):
                return

    def _place_with_parents(
        self, staged: Staged, parent: str, missing: tuple[str, ...], aside: Aside
    ) -> bool:
        with aside.new_folder() as top:
            folder = top.path
            for part in missing:
                folder = f"{folder}/{part}"
                disk.mkdir(folder, 0o777)
            inner = f"{folder}/{self._parts[-1]}"
            disk.rename(staged.path, inner)
            try:
                disk.rename(f"{top.path}/{missing[0]}", f"{parent}/{missing[0]}")
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR):
                    raise
                disk.rename(inner, staged.path)
                return False  # somebody made the parents at the same time
        return True

    def _known_parent(self) -> tuple[str, tuple[str, ...]]:
        """Return the lowest parent that exists, without links, and the names of those that do not."""
        parents = self._parts[:-1]
        for known in range(len(parents), -1, -1):
            path = "/".join((self._folder, *parents[:known]))
            try:
                found = disk.stat(path)
            except (FileNotFoundError, NotADirectoryError):
                continue
            if not S_ISDIR(found.st_mode):
                raise DriveNotADirectory(
                    f"{shown(path)} is a file, so nothing can be brought below it; remove it."
                )
            real = disk.realpath(path)
            if not is_inside(real, disk.realpath(self._folder)):
                raise DriveSymlink(
                    f"{shown(path)} leads out of {shown(self._folder)} by a symbolic link; remove it."
                )
            return real, parents[known:]
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), self._folder)


def needs_other_place(error: OSError) -> bool:
    """Return whether staging failed because of where, not because of what."""
    return error.errno in _NOT_THERE
