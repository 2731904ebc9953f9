"""The folder aside: what is not yet, or no longer, to be seen in a drive.

Whoever makes something there holds its lock until it has been moved to its place. What has no
holder is left by the dead, or replaced and thrown away: the next user removes it.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from stat import S_ISDIR
from types import TracebackType
from typing import Self

from lightning_lite.storage import disk
from lightning_lite.storage.intents import is_needed
from lightning_lite.storage.names import RESERVED
from lightning_lite.storage.trees import empty_folder, is_same

#: What the names of all things aside begin with.
PREFIX = f"{RESERVED}-"

_numbers = count()


class Staged:
    """A new file or folder aside, locked; what is left of it goes at the end of the `with` block.

    Attributes:
        path: Where it is, until it is moved to its place.
        dir_fd: Folder that `path` refers to, if it is relative.
        fd: Its descriptor, for writing if it is a file.
        is_placed: Whether nothing is left of it here.
    """

    def __init__(self, aside: Aside, fd: int, name: str) -> None:
        self.path = f"{aside.folder}/{name}"
        self.dir_fd = aside.dir_fd
        self.fd = fd
        self.is_placed = False
        self._aside = aside
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        disk.close(self.fd)
        if not self.is_placed:
            # A failure to clean hides no other failure and loses nothing: the next user cleans.
            with suppress(OSError):
                self._aside.remove_if_dead(self._name)


class Aside:
    """A folder for what is not to be seen.

    Args:
        folder: Where; must be on the file system of the place that things will be moved to.
        dir_fd: Open folder that `folder` refers to, if that is relative.
    """

    def __init__(self, folder: str, dir_fd: int | None = None) -> None:
        self.folder = folder
        self.dir_fd = dir_fd

    def new_file(self) -> Staged:
        """Make an empty file, open for writing."""
        while True:
            name = _new_name()
            fd = disk.open_file(f"{self.folder}/{name}", disk.CREATE, 0o600, dir_fd=self.dir_fd)
            if _is_held(fd, partial(_has_name, fd)):
                return Staged(self, fd, name)

    def new_folder(self) -> Staged:
        """Make an empty folder."""
        while True:
            name = _new_name()
            path = f"{self.folder}/{name}"
            disk.mkdir(path, 0o700, dir_fd=self.dir_fd)
            try:
                fd = disk.open_file(path, disk.FOLDER, dir_fd=self.dir_fd)
            except FileNotFoundError:
                continue  # cleaned away before we could hold it
            if _is_held(fd, partial(is_same, fd, path, self.dir_fd)):
                return Staged(self, fd, name)

    def new_path(self) -> str:
        """Return a free path, for something to be thrown away."""
        return f"{self.folder}/{_new_name()}"

    def sweep(self) -> None:
        """Remove everything that nobody holds."""
        for name in disk.listdir(self.folder if self.dir_fd is None else self.dir_fd):
            if name.startswith(PREFIX):
                with suppress(OSError):  # somebody else cleans as well, or the next user can
                    self.remove_if_dead(name)

    def remove_if_dead(self, name: str) -> None:
        """Remove what is called `name`, unless somebody holds it or a half-done exchange needs it."""
        path = f"{self.folder}/{name}"
        try:
            fd = disk.open_file(path, disk.READ, dir_fd=self.dir_fd)
        except FileNotFoundError:
            return  # moved to its place
        try:
            if not disk.try_lock(fd) or not is_same(fd, path, self.dir_fd):
                return
            if is_needed(self.folder, name, self.dir_fd):
                return
            if not S_ISDIR(disk.fstat(fd).st_mode):
                disk.unlink(path, dir_fd=self.dir_fd)
            elif empty_folder(fd):
                disk.rmdir(path, dir_fd=self.dir_fd)
        finally:
            disk.close(fd)


def _is_held(fd: int, is_there: Callable[[], bool]) -> bool:
    """Lock what was just made, and say whether it is still there."""
    try:
        if disk.try_lock(fd) and is_there():
            return True
    except BaseException:
        disk.close(fd)
        raise
    disk.close(fd)
    return False


def _has_name(fd: int) -> bool:
    return disk.fstat(fd).st_nlink > 0


def _new_name() -> str:
    # The time, because two containers may count their processes alike, and the system uses numbers again.
    return f"{PREFIX}{os.getpid():x}-{next(_numbers):x}-{time.time_ns():x}"
