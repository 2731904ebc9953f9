"""Moves a staged file or folder to its place in a drive, in one step, under the drive's lock.

Each visible change is one `rename` or one exchange of two folders. Missing parent folders are staged as well,
so that they appear together with their content. While a reader has a folder open, nothing in that folder
changes: it is cloned with hard links, the clone is changed, and the two are exchanged; the reader keeps the
old folder.
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


class Committer:
    """Changes what is visible in a drive.

    Args:
        layout: The folders of the drive.
        durable: Whether a change is flushed to the disk before the method returns.
    """

    def __init__(self, layout: Layout, *, durable: bool) -> None:
        self._base = layout.base
        self._staging = layout.staging
        self._name_index = layout.name_index
        self._durable = durable

    def place(self, staged: str, parts: tuple[str, ...], *, is_folder: bool) -> None:
        """Move the file or folder at `staged` to the path `parts` below the base, and replace what is there.

        Raises:
            DriveIsDirectory: A file would replace a folder.
            DriveNotADirectory: A folder would replace a file, or a parent is a file.
        """
        path = "/".join((self._base, *parts))
        with self._parents(parts) as (known, busy):
            if is_folder:  # for a file, rename() reports it
                check_replacement(path, "/".join(parts[1:]), is_folder=True)
            try:
                if busy:
                    self._change_clone(busy, parts, staged)
                elif known < len(parts) - 1:
                    self._place_with_parents(staged, parts, known)
                else:
                    self._replace(staged, path, is_folder=is_folder)
            except IsADirectoryError:
                check_replacement(path, "/".join(parts[1:]), is_folder=is_folder)
                raise

    def can_move_in(self, source: int, parts: tuple[str, ...]) -> bool:
        """Return whether the open folder `source` can be moved to the path `parts` at the moment."""
        path = "/".join((self._base, *parts))
        parent = syscalls.stat_if_exists(os.path.dirname(path))
        is_near = parent is not None and parent.st_dev == syscalls.fstat(source).st_dev
        return is_near and syscalls.stat_if_exists(path) is None

    def move_in(self, source: str, parts: tuple[str, ...]) -> bool:
        """Move the folder `source` from outside the drive to the path `parts`, if one `rename` is enough.

        Returns:
            Whether it was moved; if not, nothing has changed.
        """
        path = "/".join((self._base, *parts))
        with self._parents(parts) as (known, busy):
            if busy or known < len(parts) - 1 or syscalls.stat_if_exists(path) is not None:
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
        """Remove the path `parts` below the base."""
        with self._parents(parts) as (_, busy):
            path = "/".join((self._base, *parts))
            if busy:
                self._change_clone(busy, parts, None)
                return
            is_folder = S_ISDIR(syscalls.stat(path, follow_symlinks=False).st_mode)
            with self._name_index.kept_current(path):
                if is_folder:
                    syscalls.rename(path, self._staging.new_path())
                else:
                    syscalls.unlink(path)
            self._flush(path)

    @contextmanager
    def _parents(self, parts: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """Lock the existing parents of a path, so that no reader opens one of them.

        Yields:
            The number of parents that exist, and the depth of the highest one that a reader has open, or 0.
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
                # The first part, the folder of the component, is never pinned.
                if depth > 1 and not busy and not syscalls.try_lock(fd):
                    busy = depth
            yield len(held), busy
        finally:
            for fd in held:
                syscalls.close(fd)

    def _place_with_parents(self, staged: str, parts: tuple[str, ...], known: int) -> None:
        """Stage the missing parents with `staged` in them, and move the highest one to its place."""
        with self._staging.new_folder() as top:
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
        if is_folder and syscalls.stat_if_exists(path) is not None:
            self._swap(staged, path)
        else:
            with self._name_index.kept_current(path):
                syscalls.rename(staged, path)
        self._flush(path)

    def _change_clone(self, depth: int, parts: tuple[str, ...], staged: str | None) -> None:
        """Change a folder that a reader has open: change a clone of it, and exchange the two."""
        path = "/".join((self._base, *parts[:depth]))
        inner = parts[depth:]
        with self._staging.new_folder() as clone:
            fd = syscalls.open_file(path, syscalls.FOLDER)
            try:
                clone_tree(fd, clone.fd, skip=inner)
            finally:
                syscalls.close(fd)
            if staged is not None:
                folder = clone.path
                for part in inner[:-1]:
                    folder = f"{folder}/{part}"
                    if syscalls.stat_if_exists(folder) is None:
                        syscalls.mkdir(folder, 0o777)
                place = f"{folder}/{inner[-1]}"
                syscalls.rename(staged, place)
                self._flush(place, clone.path)
            self._swap(clone.path, path)
        self._flush(path)

    def _swap(self, new: str, target: str) -> None:
        with self._name_index.kept_current(target):
            swap(new, target, self._base, self._staging)

    def _flush(self, path: str, top: str | None = None) -> None:
        """Flush the name at `path` and the names above it up to `top`, or up to the base.

        Names above it may not be flushed yet, because an earlier put that was not durable made them.
        """
        end = len(top or self._base)
        while self._durable and len(path := os.path.dirname(path)) >= end:
            syscalls.flush_folder(path)


def check_replacement(path: str, name: str, *, is_folder: bool) -> None:
    """Refuse to replace a folder with a file, or a file with a folder.

    Args:
        path: Path that would be replaced.
        name: Its name for the error.
        is_folder: Whether a folder would replace it.
    """
    there = syscalls.stat_if_exists(path)
    if there is None or S_ISDIR(there.st_mode) == is_folder:
        return
    if is_folder:
        raise DriveNotADirectory(
            f"The folder {shown(name)} can't replace the file that is there; remove it first."
        )
    raise DriveIsDirectory(f"The file {shown(name)} can't replace the folder that is there; remove it first.")
