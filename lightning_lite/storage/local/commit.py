"""Moves a staged file or folder to its place in a drive, in one step, under the drive's lock.

Each change that anybody can see is one `rename` or one exchange of two folders. Parents that do not
exist yet are staged as well, so that they appear together with their content. While somebody reads a
folder, nothing in it changes: it is cloned by hard links, the clone is changed, and the two change
places; the reader finishes with the old one.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_ISDIR

from lightning_lite.storage.errors import DriveIsDirectory, DriveNotADirectory, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.trees import clone_tree
from lightning_lite.storage.local.exchange import swap
from lightning_lite.storage.local.layout import Layout


class Placer:
    """Changes what is visible below one folder.

    Args:
        layout: The folders of the drive.
        durable: Whether a change is flushed to the disk before it counts.
    """

    def __init__(self, layout: Layout, *, durable: bool) -> None:
        self._base = layout.base
        self._aside = layout.aside
        self._name_index = layout.name_index
        self._durable = durable

    def place(self, staged: str, parts: tuple[str, ...], *, is_folder: bool) -> None:
        """Move what is at `staged` to the path `parts` below the base, replacing what is there.

        Raises:
            DriveIsDirectory: A file would replace a folder.
            DriveNotADirectory: A folder would replace a file, or a parent is a file.
        """
        path = "/".join((self._base, *parts))
        with self._parents(parts) as (known, busy):
            if is_folder:  # a file finds out when it is brought there
                admit_replacement(path, "/".join(parts[1:]), is_folder=True)
            try:
                if busy:
                    self._change_clone(busy, parts, staged)
                elif known < len(parts) - 1:
                    self._place_with_parents(staged, parts, known)
                else:
                    self._replace(staged, path, is_folder=is_folder)
            except IsADirectoryError:
                admit_replacement(path, "/".join(parts[1:]), is_folder=is_folder)
                raise

    def may_adopt(self, source: int, parts: tuple[str, ...]) -> bool:
        """Return whether the open folder `source` could be moved to the path `parts`, as things are now."""
        path = "/".join((self._base, *parts))
        parent = syscalls.look(os.path.dirname(path))
        is_near = parent is not None and parent.st_dev == syscalls.fstat(source).st_dev
        return is_near and syscalls.look(path) is None

    def adopt(self, source: str, parts: tuple[str, ...]) -> bool:
        """Move the folder `source` from anywhere to the path `parts`, if one `rename` is enough for that.

        Returns:
            Whether it was; if not, nothing has happened.
        """
        path = "/".join((self._base, *parts))
        with self._parents(parts) as (known, busy):
            if busy or known < len(parts) - 1 or syscalls.look(path) is not None:
                return False
            try:
                with self._name_index.kept_current(path):
                    syscalls.rename(source, path)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                return False
            self._flush(path)
            return True

    def remove(self, parts: tuple[str, ...]) -> None:
        """Take the path `parts` below the base out of sight."""
        with self._parents(parts) as (_, busy):
            path = "/".join((self._base, *parts))
            if busy:
                self._change_clone(busy, parts, None)
                return
            is_folder = S_ISDIR(syscalls.stat(path, follow_symlinks=False).st_mode)
            with self._name_index.kept_current(path):
                if is_folder:
                    syscalls.rename(path, self._aside.new_path())
                else:
                    syscalls.unlink(path)
            self._flush(path)

    @contextmanager
    def _parents(self, parts: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """Keep readers out of the parents of a path, as far as they exist.

        Yields:
            How many parents exist, and the depth of the highest that somebody reads now, or 0.
        """
        held: list[int] = []
        busy = 0
        try:
            fd, path = None, f"{self._base}/{parts[0]}"
            for depth, part in enumerate((path, *parts[1:-1]), start=1):
                try:
                    fd = syscalls.open_file(part, syscalls.FOLDER, dir_fd=fd)
                except FileNotFoundError:
                    break
                except NotADirectoryError:
                    raise DriveNotADirectory(
                        f"{shown('/'.join(parts[1:depth]))} in the drive is a file, so nothing can be put "
                        f"below it; use another path."
                    ) from None
                held.append(fd)
                # Nobody pins the space of a component itself, the first part.
                if depth > 1 and not busy and not syscalls.try_lock(fd):
                    busy = depth
            yield len(held), busy
        finally:
            for fd in held:
                syscalls.close(fd)

    def _place_with_parents(self, staged: str, parts: tuple[str, ...], known: int) -> None:
        """Make the missing parents aside, put the staged thing in, and bring the highest one to its place."""
        with self._aside.new_folder() as top:
            folder = top.path
            for part in parts[known:-1]:
                folder = f"{folder}/{part}"
                syscalls.mkdir(folder, 0o777)
            place = f"{folder}/{parts[-1]}"
            syscalls.rename(staged, place)
            self._flush(place, top.path)
            self._replace(
                f"{top.path}/{parts[known]}", "/".join((self._base, *parts[: known + 1])), is_folder=True
            )

    def _replace(self, staged: str, path: str, *, is_folder: bool) -> None:
        if is_folder and syscalls.look(path) is not None:
            self._swap(staged, path)
        else:
            with self._name_index.kept_current(path):
                syscalls.rename(staged, path)
        self._flush(path)

    def _change_clone(self, depth: int, parts: tuple[str, ...], staged: str | None) -> None:
        """Change a folder that somebody reads: change a clone of it, and let the two change places."""
        path = "/".join((self._base, *parts[:depth]))
        inner = parts[depth:]
        with self._aside.new_folder() as clone:
            fd = syscalls.open_file(path, syscalls.FOLDER)
            try:
                clone_tree(fd, clone.fd, skip=inner)
            finally:
                syscalls.close(fd)
            if staged is not None:
                folder = clone.path
                for part in inner[:-1]:
                    folder = f"{folder}/{part}"
                    if syscalls.look(folder) is None:
                        syscalls.mkdir(folder, 0o777)
                place = f"{folder}/{inner[-1]}"
                syscalls.rename(staged, place)
                self._flush(place, clone.path)
            self._swap(clone.path, path)
        self._flush(path)

    def _swap(self, new: str, target: str) -> None:
        with self._name_index.kept_current(target):
            swap(new, target, self._base, self._aside)

    def _flush(self, path: str, top: str | None = None) -> None:
        """Let the name at `path` survive the loss of power, and those above it up to `top`, or the base.

        An earlier put that was not durable may have made some of them.
        """
        end = len(top or self._base)
        while self._durable and len(path := os.path.dirname(path)) >= end:
            syscalls.flush_folder(path)


def admit_replacement(path: str, name: str, *, is_folder: bool) -> None:
    """Refuse to replace a folder by a file or a file by a folder.

    Args:
        path: What would be replaced.
        name: Its name for the error.
        is_folder: Whether the new one is a folder.
    """
    there = syscalls.look(path)
    if there is None or S_ISDIR(there.st_mode) == is_folder:
        return
    if is_folder:
        raise DriveNotADirectory(
            f"The folder {shown(name)} can't replace the file that is there; remove it first."
        )
    raise DriveIsDirectory(f"The file {shown(name)} can't replace the folder that is there; remove it first.")
