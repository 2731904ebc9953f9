"""The staging folder of a drive: files that are not visible yet, or not any more.

A process locks what it creates there until it has moved it to its place. Entries without a lock are leftovers
of dead processes, or replaced files; the next put or delete removes them.
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

#: Name of the intent record of a drive, in its staging folder.
INTENT = f"{RESERVED}.intent"

#: Name of an empty file next to it, which exists if folders are replaced in two steps in this drive.
TWO_STEPS = f"{RESERVED}.two-steps"

#: Prefix of the names of all staged files and folders.
PREFIX = f"{RESERVED}-"

_LONGEST = 16 * 1024

_numbers = count()


class Staged:
    """A new file or folder in the staging folder, locked; the end of the `with` block removes what is left.

    Attributes:
        path: Its path, until it is moved to its place.
        dir_fd: Folder to which `path` is relative, or `None`.
        fd: Its descriptor, for writing if it is a file.
        is_placed: Whether it was moved away, so that nothing is left to remove.
    """

    def __init__(self, staging: StagingFolder, fd: int, name: str) -> None:
        self.path = f"{staging.folder}/{name}"
        self.dir_fd = staging.dir_fd
        self.fd = fd
        self.is_placed = False
        self._staging = staging
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        syscalls.close(self.fd)
        if not self.is_placed:
            # Suppressed so that it hides no other error; the next put or delete removes the rest.
            with suppress(OSError):
                self._staging.remove_if_dead(self._name)


class StagingFolder:
    """A folder for files that are not visible.

    Args:
        folder: Its path, on the file system to which the files will be moved.
        dir_fd: Folder to which `folder` is relative, or `None`.
    """

    def __init__(self, folder: str, dir_fd: int | None = None) -> None:
        self.folder = folder
        self.dir_fd = dir_fd

    def new_file(self) -> Staged:
        """Create an empty file, open for writing."""
        while True:
            name = _new_name()
            fd = syscalls.open_file(f"{self.folder}/{name}", syscalls.CREATE, 0o600, dir_fd=self.dir_fd)
            if _is_held(fd, partial(_has_name, fd)):
                return Staged(self, fd, name)

    def new_folder(self) -> Staged:
        """Create an empty folder."""
        while True:
            name = _new_name()
            path = f"{self.folder}/{name}"
            syscalls.mkdir(path, 0o700, dir_fd=self.dir_fd)
            try:
                fd = syscalls.open_file(path, syscalls.FOLDER, dir_fd=self.dir_fd)
            except FileNotFoundError:
                continue  # another process removed it before it was locked
            if _is_held(fd, partial(is_same, fd, path, self.dir_fd)):
                return Staged(self, fd, name)

    def new_path(self) -> str:
        """Return a free path, for a file or folder that is to be removed."""
        return f"{self.folder}/{_new_name()}"

    def sweep(self) -> None:
        """Remove everything that no process has locked."""
        for name in syscalls.listdir(self.folder if self.dir_fd is None else self.dir_fd):
            if name.startswith(PREFIX):
                with suppress(OSError):  # another process removes it, too, or the next call does
                    self.remove_if_dead(name)

    def remove_if_dead(self, name: str) -> None:
        """Remove the entry `name`, unless it is locked or an unfinished exchange needs it."""
        path = f"{self.folder}/{name}"
        try:
            fd = syscalls.open_file(path, syscalls.READ, dir_fd=self.dir_fd)
        except FileNotFoundError:
            return  # it was moved to its place
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
    """Lock a new file or folder, and return whether it still exists."""
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
    # With the time, because pids repeat: in another container, or when the system reuses them.
    return f"{PREFIX}{os.getpid():x}-{next(_numbers):x}-{time.time_ns():x}"


class Intent(NamedTuple):
    """The record of an exchange of two folders that has begun.

    Attributes:
        new: Name of the new folder, in the staging folder.
        target: Path of its place, below the folder of the drive.
        old: Name of the replaced folder in the staging folder.
    """

    new: str
    target: str
    old: str


def read_intent(staging: str, dir_fd: int | None = None) -> Intent | None:
    """Return the exchange that a dead holder of the lock did not finish, or `None`."""
    try:
        fd = syscalls.open_file(f"{staging}/{INTENT}", syscalls.READ, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    try:
        lines = syscalls.read(fd, _LONGEST).decode(errors="replace").split("\n")
    finally:
        syscalls.close(fd)
    if len(lines) != len(Intent._fields):
        raise DriveError(
            f"{shown(f'{staging}/{INTENT}')} is damaged; check the files next to it, and remove it."
        )
    return Intent(*lines)


def is_needed(staging: str, name: str, dir_fd: int | None = None) -> bool:
    """Return whether the entry `name` belongs to an exchange that is not finished."""
    intent = read_intent(staging, dir_fd)
    return intent is not None and name in (intent.new, intent.old)
