"""The lock of a drive: one holder at a time, on any number of processes and threads.

Who dies gives it back, a forked child does not keep it, and the file of the lock is never deleted:
a second holder could get in beside the first one.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from stat import S_ISREG
from typing import TYPE_CHECKING

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveLockError, DriveLockTimeout, shown

if TYPE_CHECKING:
    from filelock import BaseFileLock

#: Seconds after which waiting for a lock that is held for milliseconds ends with an error.
LOCK_TIMEOUT = 60.0

#: Seconds between two looks at a lock that somebody else holds.
LOOK_AGAIN = 0.001


class DriveLock:
    """The lock of one drive.

    Args:
        path: File of the lock.
        timeout: Seconds to wait for it.
    """

    def __init__(self, path: str, timeout: float = LOCK_TIMEOUT) -> None:
        self._path = path
        self._timeout = timeout
        self._lock: BaseFileLock | None = None
        self._pid = 0

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in the `with` block.

        Raises:
            DriveLockTimeout: Somebody else did not give it back; the message says who.
            DriveLockError: The file of the lock is something else, or locks do not work here.
        """
        if self._lock is None or self._pid != os.getpid():
            self._lock, self._pid = self._new_lock(), os.getpid()  # a forked child needs one of its own
        lock = self._lock
        self._acquire(lock)
        try:
            self._admit(lock)
            self._sign()
            yield
        finally:
            lock.release()

    def _new_lock(self) -> BaseFileLock:
        import filelock  # noqa: PLC0415 - 75 ms that only those who write to a drive pay

        return filelock.FileLock(self._path, timeout=self._timeout, mode=0o600, poll_interval=LOOK_AGAIN)

    def _acquire(self, lock: BaseFileLock) -> None:
        import filelock  # noqa: PLC0415 - loaded by `_new_lock`

        try:
            lock.acquire()
        except filelock.Timeout:
            raise DriveLockTimeout(self._waited_for()) from None
        except (OSError, NotImplementedError) as error:
            raise DriveLockError(
                f"The lock {shown(self._path)} of the drive can't be used: {error}; look what is there."
            ) from error

    def _admit(self, lock: BaseFileLock) -> None:
        """Refuse a FIFO or the like, and what `filelock` takes where the file system has no locks."""
        import filelock  # noqa: PLC0415 - loaded by `_new_lock`

        there = disk.look(self._path)
        if there is not None and not S_ISREG(there.st_mode):
            raise DriveLockError(
                f"The lock {shown(self._path)} of the drive is no regular file; look what it is."
            )
        if not isinstance(lock, filelock.UnixFileLock):
            raise DriveLockError(
                f"The file system of {shown(self._path)} has no locks; put the root elsewhere."
            )

    def _sign(self) -> None:
        """Write down who holds it and since when, for the error of those who wait too long."""
        with suppress(OSError):  # nothing else depends on it
            fd = disk.open_file(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                disk.pwrite(fd, f"{os.getpid():<10} {time.time():<18.3f}\n".encode(), 0)
            finally:
                disk.close(fd)

    def _waited_for(self) -> str:
        try:
            fd = disk.open_file(self._path, disk.READ)
            try:
                pid, since = disk.pread(fd, 64, 0).split()
            finally:
                disk.close(fd)
            holder = f"process {int(pid)} holds it for {time.time() - float(since):.1f} s"
        except (OSError, ValueError):
            holder = "nobody knows who holds it"
        return (
            f"The lock {shown(self._path)} of the drive was not free within {self._timeout:g} s: {holder}; "
            f"look what that process does, continue or end it."
        )
