"""Our folders in a folder of the user's, for as long as something is on its way there.

What is in them is ours, and nothing beside them is. All work goes by the descriptor of the user's folder:
whoever changes it, or a folder above it, for a link meanwhile leads nothing anywhere else.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from lightning_lite.storage import disk
from lightning_lite.storage.locking import sign, wait_for
from lightning_lite.storage.names import RESERVED
from lightning_lite.storage.staging import Aside
from lightning_lite.storage.trees import is_same

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
    with _room(folder, STAGING, disk.LOCK_SH) as fd:
        aside = Aside(".", fd)
        aside.sweep()
        yield aside


@contextmanager
def held_room(folder: OpenFolder, name: str) -> Iterator[int]:
    """Give the descriptor of the room `name` in `folder`; nobody else has it meanwhile."""
    with _room(folder, name, disk.LOCK_EX) as fd:
        with suppress(OSError):  # what is below works without it
            holder = disk.open_file(HOLDER, os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o600, dir_fd=fd)
            sign(holder)
            disk.close(holder)
        try:
            yield fd
        finally:
            with suppress(OSError):  # the next holder signs in its place
                disk.unlink(HOLDER, dir_fd=fd)


@contextmanager
def _room(folder: OpenFolder, name: str, kind: int) -> Iterator[int]:
    """Make the room and hold its lock; it goes at the end, if nobody else is in it and it is empty."""
    fd = _open_locked(folder, name, kind)
    try:
        yield fd
    finally:
        with suppress(OSError):  # not empty, or not ours to remove: the next one here does
            if disk.try_lock(fd):
                disk.rmdir(name, dir_fd=folder.fd)
        disk.close(fd)


def _open_locked(folder: OpenFolder, name: str, kind: int) -> int:
    while True:
        with suppress(FileExistsError):
            disk.mkdir(name, 0o700, dir_fd=folder.fd)
        try:
            fd = disk.open_file(name, disk.FOLDER, dir_fd=folder.fd)
        except FileNotFoundError:
            continue  # the last one in it removed it
        try:
            wait_for(fd, kind, f"{folder.path}/{name}", HOLDER, fd)
            if is_same(fd, name, folder.fd):
                return fd
        except BaseException:
            disk.close(fd)
            raise
        disk.close(fd)
