"""The staging folder of a drive: files that are not visible yet, or not any more.

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
from typing import NamedTuple, Self

from lightning_lite.storage.errors import DriveError, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.trees import empty_folder, is_same
from lightning_lite.storage.names import RESERVED

#: Name of the one intent of a drive, in its folder aside.
INTENT = f"{RESERVED}.intent"

#: Name of an empty file beside it that says that folders are replaced in two steps in this drive.
TWO_STEPS = f"{RESERVED}.two-steps"

_LONGEST = 16 * 1024


class Intent(NamedTuple):
    """Two folders are about to change places.

    Attributes:
        new: Name of the new one, aside.
        target: Path of its place, below the folder of the drive.
        old: Name under which the replaced one goes aside.
    """

    new: str
    target: str
    old: str


def read_intent(aside: str, dir_fd: int | None = None) -> Intent | None:
    """Return what a holder of the lock did not finish, or `None`."""
    try:
        fd = syscalls.open_file(f"{aside}/{INTENT}", syscalls.READ, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    try:
        lines = syscalls.read(fd, _LONGEST).decode(errors="replace").split("\n")
    finally:
        syscalls.close(fd)
    if len(lines) != len(Intent._fields):
        raise DriveError(f"{shown(f'{aside}/{INTENT}')} is damaged; look what is beside it, and remove it.")
    return Intent(*lines)


def is_needed(aside: str, name: str, dir_fd: int | None = None) -> bool:
    """Return whether the thing `name` aside is part of what is not finished."""
    intent = read_intent(aside, dir_fd)
    return intent is not None and name in (intent.new, intent.old)


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
        syscalls.close(self.fd)
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
            fd = syscalls.open_file(f"{self.folder}/{name}", syscalls.CREATE, 0o600, dir_fd=self.dir_fd)
            if _is_held(fd, partial(_has_name, fd)):
                return Staged(self, fd, name)

    def new_folder(self) -> Staged:
        """Make an empty folder."""
        while True:
            name = _new_name()
            path = f"{self.folder}/{name}"
            syscalls.mkdir(path, 0o700, dir_fd=self.dir_fd)
            try:
                fd = syscalls.open_file(path, syscalls.FOLDER, dir_fd=self.dir_fd)
            except FileNotFoundError:
                continue  # cleaned away before we could hold it
            if _is_held(fd, partial(is_same, fd, path, self.dir_fd)):
                return Staged(self, fd, name)

    def new_path(self) -> str:
        """Return a free path, for something to be thrown away."""
        return f"{self.folder}/{_new_name()}"

    def sweep(self) -> None:
        """Remove everything that nobody holds."""
        for name in syscalls.listdir(self.folder if self.dir_fd is None else self.dir_fd):
            if name.startswith(PREFIX):
                with suppress(OSError):  # somebody else cleans as well, or the next user can
                    self.remove_if_dead(name)

    def remove_if_dead(self, name: str) -> None:
        """Remove what is called `name`, unless somebody holds it or a half-done exchange needs it."""
        path = f"{self.folder}/{name}"
        try:
            fd = syscalls.open_file(path, syscalls.READ, dir_fd=self.dir_fd)
        except FileNotFoundError:
            return  # moved to its place
        try:
            if not syscalls.try_lock(fd) or not is_same(fd, path, self.dir_fd):
                return
            if is_needed(self.folder, name, self.dir_fd):
                return
            if not S_ISDIR(syscalls.fstat(fd).st_mode):
                syscalls.unlink(path, dir_fd=self.dir_fd)
            elif empty_folder(fd):
                syscalls.rmdir(path, dir_fd=self.dir_fd)
        finally:
            syscalls.close(fd)


def _is_held(fd: int, is_there: Callable[[], bool]) -> bool:
    """Lock what was just made, and say whether it is still there."""
    try:
        if syscalls.try_lock(fd) and is_there():
            return True
    except BaseException:
        syscalls.close(fd)
        raise
    syscalls.close(fd)
    return False


def _has_name(fd: int) -> bool:
    return syscalls.fstat(fd).st_nlink > 0


def _new_name() -> str:
    # The time, because two containers may count their processes alike, and the system uses numbers again.
    return f"{PREFIX}{os.getpid():x}-{next(_numbers):x}-{time.time_ns():x}"
