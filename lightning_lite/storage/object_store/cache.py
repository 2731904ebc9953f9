"""Objects on this machine: those that were read from the store, and those that are prepared for it.

Content in the store never changes, so a copy here is never out of date. All processes of one user share the
folder. When it is full, what was not used for the longest time is removed.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from stat import S_ISDIR, S_IWGRP, S_IWOTH
from time import time

from lightning_lite.storage.errors import DriveRefused, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import empty_folder
from lightning_lite.storage.transfer.staging import StagingFolder

#: Bytes of the objects that are kept.
LIMIT = 4 * 1024**3

#: Number of the objects that are kept: a look at all of them takes 5 µs for each.
MOST = 50_000

#: Part of the limits by which new objects grow until a process looks at all of them.
_LOOK_BYTES = 0.05
_LOOK_COUNT = 0.01

#: Part of the limits to which the objects are reduced when there are more.
_AFTER = 0.9

#: Seconds that a copy with a path of its own stays, see `Cache.view`.
_VIEW_AGE = 86400.0


class Cache:
    """A folder with copies of objects.

    Args:
        folder: Absolute path; created when needed.
        limit: Maximum number of bytes of all objects in it. For a while there may be some more, because not
            each new object is a reason to look at all of them.
        most: Maximum number of the objects, in the same way.

    Attributes:
        folder: The same.
    """

    def __init__(self, folder: str, limit: int = LIMIT, most: int = MOST) -> None:
        self.folder = folder
        self._limit = limit
        self._most = most
        # At random, so that one of many short processes looks, too.
        self._growth = random.random()
        self._is_ready = False

    @property
    def staging(self) -> StagingFolder:
        """The folder for files that are being written; files of dead processes are removed at first use."""
        self._prepare()
        return StagingFolder(f"{self.folder}/staging")

    @contextmanager
    def opened(self, name: str, size: int, write: Callable[[int], None]) -> Iterator[int]:
        """Give the descriptor of the object `name` for the `with` block, for reading.

        Args:
            name: A name that always means the same content.
            size: Its bytes.
            write: Writes the content to an empty file, if the object is not here.
        """
        path = f"{self.folder}/objects/{name}"
        staging = self.staging
        with suppress(FileNotFoundError):
            fd = syscalls.open_file(path, syscalls.READ)
            try:
                if syscalls.fstat(fd).st_size == size:  # else a loss of power has cut it
                    with suppress(PermissionError):
                        syscalls.utime(fd)  # now: the time of its latest use
                    yield fd
                    return
            finally:
                syscalls.close(fd)
        with staging.new_file() as staged:
            write(staged.fd)
            fd = syscalls.open_file(staged.path, syscalls.READ)
            try:
                if self.keeps(size):
                    syscalls.rename(staged.path, path)
                    staged.is_placed = True
                    self._grow(size)
                yield fd
            finally:
                syscalls.close(fd)

    def keeps(self, size: int) -> bool:
        """Return whether an object of so many bytes is kept."""
        return size <= self._limit // 2

    def view(self, name: str, write: Callable[[str], None]) -> str:
        """Return the path of a file or folder that stays for a day after its latest use.

        Args:
            name: A name that always means the same content.
            write: Creates the file or folder at a path, if it is not here.
        """
        path = f"{self.folder}/views/{name}"
        with self.staging.new_folder() as staged:
            if syscalls.stat_if_exists(path) is None:
                write(f"{staged.path}/content")
                with suppress(OSError):  # another process has just made it
                    syscalls.rename(staged.path, path)
                    staged.is_placed = True
        syscalls.utime(path)
        self._remove_old_views()
        return f"{path}/content"

    def _prepare(self) -> None:
        if self._is_ready and syscalls.stat_if_exists(f"{self.folder}/views") is not None:
            return  # else the user has removed the cache
        syscalls.make_folders(os.path.dirname(self.folder))
        with suppress(FileExistsError):
            syscalls.mkdir(self.folder, 0o700)
        info = syscalls.stat(self.folder)
        if info.st_uid != os.geteuid() or info.st_mode & (S_IWGRP | S_IWOTH):
            raise DriveRefused(
                f"Another user could write into the cache {shown(self.folder)} of object stores; chmod 700, "
                f"or remove it."
            )
        for name in ("staging", "objects", "views"):
            with suppress(FileExistsError):
                syscalls.mkdir(f"{self.folder}/{name}", 0o700)
        StagingFolder(f"{self.folder}/staging").sweep()
        self._is_ready = True

    def _grow(self, size: int) -> None:
        """Look whether there is too much, after enough new objects."""
        self._growth += size / (self._limit * _LOOK_BYTES) + 1 / (self._most * _LOOK_COUNT)
        if self._growth >= 1:
            self._growth = 0.0
            self._make_room()

    def _make_room(self) -> None:
        found: list[tuple[float, int, str]] = []
        with syscalls.scandir(f"{self.folder}/objects") as entries:
            for entry in entries:
                with suppress(FileNotFoundError):
                    info = entry.stat(follow_symlinks=False)
                    found.append((info.st_mtime, info.st_size, entry.path))
        total, count = sum(size for _, size, _ in found), len(found)
        if total <= self._limit and count <= self._most:
            return
        for _, size, path in sorted(found):
            with suppress(FileNotFoundError):
                syscalls.unlink(path)
            total -= size
            count -= 1
            if total <= self._limit * _AFTER and count <= self._most * _AFTER:
                return

    def _remove_old_views(self) -> None:
        trash = self.staging
        for name in syscalls.listdir(f"{self.folder}/views"):
            path = f"{self.folder}/views/{name}"
            found = syscalls.stat_if_exists(path)
            if found is None or time() - found.st_mtime < _VIEW_AGE:
                continue
            with suppress(FileNotFoundError):  # another process removes it
                aside = trash.new_path()
                syscalls.rename(path, aside)
                _remove(aside)


def _remove(path: str) -> None:
    found = syscalls.stat_if_exists(path)
    if found is None:
        return
    if not S_ISDIR(found.st_mode):
        syscalls.unlink(path)
        return
    fd = syscalls.open_file(path, syscalls.FOLDER)
    try:
        if empty_folder(fd):
            syscalls.rmdir(path)
    finally:
        syscalls.close(fd)
