"""The folder of a work whose machine does not see the root of the app, removed with what the work left there.

A server that is killed can't remove its folder. So each server holds a lock in its own, and one that makes a
folder removes the folders of this user whose locks nobody holds any more.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from typing import NamedTuple

#: The names of all such folders begin with it.
PREFIX = "lightning_lite-work-"

_LOCK = ".owner"


class WorkFolder(NamedTuple):
    """A folder for one work.

    Attributes:
        path: Absolute path.
        lock: Descriptor of the locked file in it.

    Example:
        >>> folder = WorkFolder.make()
        >>> folder.remove()
        >>> os.path.exists(folder.path)
        False
    """

    path: str
    lock: int

    @classmethod
    def make(cls) -> WorkFolder:
        """Make a folder among the temporary files, and remove those that have no owner."""
        _remove_orphans(tempfile.gettempdir())
        path = tempfile.mkdtemp(prefix=PREFIX)
        fresh = f"{path}/{_LOCK}.new"
        lock = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        os.rename(
            fresh, f"{path}/{_LOCK}"
        )  # under its name it is always locked, as long as this process lives
        return cls(path, lock)

    def remove(self) -> None:
        """Remove the folder; what can't be removed stays."""
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self.lock)


def _remove_orphans(parent: str) -> None:
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):  # it is that of another user, or another server removes it now
                    _remove_orphan(entry.path)


def _remove_orphan(path: str) -> None:
    """Remove a folder if nobody holds its lock.

    Raises:
        OSError: The lock is held, or the folder belongs to another user.
    """
    if os.lstat(path).st_uid != os.getuid():
        return
    lock = os.open(f"{path}/{_LOCK}", os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
