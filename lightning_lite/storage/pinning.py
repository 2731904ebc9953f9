"""Reading a folder of a drive while others put: the reader pins it, and nobody changes it then.

A pin is a shared lock on the folder itself. Who wants to change something below takes the exclusive
one, and if it is busy changes a copy made of hard links and exchanges the two (`placing`).
"""

from __future__ import annotations

import errno
from stat import S_ISDIR

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveSymlink, shown
from lightning_lite.storage.links import open_beneath
from lightning_lite.storage.locking import wait_for
from lightning_lite.storage.trees import is_same


def open_pinned(space: str, parts: tuple[str, ...], lock: str) -> int:
    """Open what a component has put: one version of it, until the descriptor is closed.

    Args:
        space: Folder of the component in the drive.
        parts: Path below it.
        lock: File of the drive's lock: only its holder lets readers wait.

    Raises:
        DriveLockTimeout: He let this one wait for too long.
        FileNotFoundError: It is not there.
        DriveSymlink: Somebody made a link there by hand.
    """
    path = "/".join((space, *parts))
    while True:
        try:
            fd = open_beneath(space, parts)
        except NotADirectoryError:
            raise FileNotFoundError(path) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link that somebody made in the drive by hand; delete it."
            ) from None
        try:
            # Files never change in place, and the space of a component is never replaced.
            if not parts or not S_ISDIR(disk.fstat(fd).st_mode) or _pin(fd, path, lock):
                return fd
        except BaseException:
            disk.close(fd)
            raise
        disk.close(fd)


def _pin(fd: int, path: str, lock: str) -> bool:
    """Take the shared lock of a folder, and say whether it is still the one at its path."""
    try:
        disk.flock(fd, disk.LOCK_SH | disk.LOCK_NB)
    except BlockingIOError:
        if not is_same(fd, path):
            return False  # replaced, and being removed
        wait_for(fd, disk.LOCK_SH, lock, holder=lock)
    return is_same(fd, path)
