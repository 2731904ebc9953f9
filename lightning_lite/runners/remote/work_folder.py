"""The folder of the works of a run on a machine that does not see its root; it is removed with its files.

Its name is the same on all machines, so that a path in it that one work passes to another has the same text
there. The servers of all works that use it hold a shared lock in it, and the last one removes it. A server
that is killed can't do that, so one that opens a folder also removes all others of this user without a lock.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import stat
import tempfile
from contextlib import suppress
from hashlib import sha256
from secrets import token_hex
from typing import NamedTuple

#: The names of all such folders begin with it.
PREFIX = "lightning_lite-works-"

_LOCK = ".owners"


class WorkFolder(NamedTuple):
    """A folder for the works of one run.

    Attributes:
        path: Absolute path.
        lock: Descriptor of the locked file in it.

    Example:
        >>> folder, same = WorkFolder.open("run 1"), WorkFolder.open("run 1")
        >>> folder.path == same.path
        True
        >>> folder.remove()
        >>> os.path.exists(folder.path)
        True
        >>> same.remove()
        >>> os.path.exists(folder.path)
        False
    """

    path: str
    lock: int

    @classmethod
    def open(cls, run: str) -> WorkFolder:
        """Open the folder of a run among the temporary files, and remove those that no server uses.

        Args:
            run: A text that no other run has.

        Raises:
            PermissionError: The folder is one of another user, or others can use it.
            OSError: It can't be made.
        """
        parent = tempfile.gettempdir()
        path = os.path.join(parent, f"{PREFIX}{sha256(run.encode()).hexdigest()[:16]}")
        lock = None
        while lock is None:
            lock = _lock_shared(path)
        _remove_unused(parent)
        return cls(path, lock)

    def remove(self) -> None:
        """Release the folder, and remove it if no other server uses it; files that can't be removed stay."""
        os.close(self.lock)
        with suppress(OSError):  # another server uses it, or has removed it
            _remove_if_unused(self.path)


def _lock_shared(path: str) -> int | None:
    """Make a folder if it is missing, and return its lock; `None` if another server has just removed it."""
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    try:
        found = os.lstat(path)
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o077:
            raise PermissionError(f"{path} is not a private folder of this user; remove it")
        lock = os.open(f"{path}/{_LOCK}", os.O_CREAT | os.O_RDWR | os.O_NOFOLLOW, 0o600)
    except FileNotFoundError:
        return None
    fcntl.flock(lock, fcntl.LOCK_SH)
    try:
        if os.path.samestat(os.fstat(lock), os.stat(f"{path}/{_LOCK}")):
            return lock
    except FileNotFoundError:
        pass
    os.close(lock)
    return None


def _remove_unused(parent: str) -> None:
    with suppress(OSError), os.scandir(parent) as entries:
        for entry in entries:
            if entry.name.startswith(PREFIX) and entry.is_dir(follow_symlinks=False):
                with suppress(OSError):  # it belongs to another user, is used, or another server removes it
                    _remove_if_unused(entry.path)


def _remove_if_unused(path: str) -> None:
    """Remove a folder, at once for all that look for its name.

    Raises:
        OSError: It is used, belongs to another user, or is gone.
    """
    if os.lstat(path).st_uid != os.geteuid():
        return
    lock = os.open(f"{path}/{_LOCK}", os.O_RDWR | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.path.samestat(os.fstat(lock), os.stat(f"{path}/{_LOCK}")):
            going = f"{path}-{token_hex(4)}"
            os.rename(path, going)
            shutil.rmtree(going, ignore_errors=True)
    finally:
        os.close(lock)
