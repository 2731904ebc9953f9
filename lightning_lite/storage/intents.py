"""What the holder of a drive's lock is about to do, where two steps are needed instead of one."""

from __future__ import annotations

from typing import NamedTuple

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveError, shown
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
        fd = disk.open_file(f"{aside}/{INTENT}", disk.READ, dir_fd=dir_fd)
    except FileNotFoundError:
        return None
    try:
        lines = disk.read(fd, _LONGEST).decode(errors="replace").split("\n")
    finally:
        disk.close(fd)
    if len(lines) != len(Intent._fields):
        raise DriveError(f"{shown(f'{aside}/{INTENT}')} is damaged; look what is beside it, and remove it.")
    return Intent(*lines)


def is_needed(aside: str, name: str, dir_fd: int | None = None) -> bool:
    """Return whether the thing `name` aside is part of what is not finished."""
    intent = read_intent(aside, dir_fd)
    return intent is not None and name in (intent.new, intent.old)
