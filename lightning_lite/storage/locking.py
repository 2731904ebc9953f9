"""The lock of a drive: one holder at a time, on any number of processes and threads.

Who dies gives it back, a forked child does not keep it, and the file of the lock is never deleted:
a second holder could get in beside the first one. The holder signs, so that who waits too long for this
lock, or for one that is held along with it, can say whom he waited for.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from select import select
from stat import S_ISREG
from typing import TYPE_CHECKING

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveLockError, DriveLockTimeout, shown

if TYPE_CHECKING:
    from filelock import BaseFileLock

#: Seconds after which waiting for a lock that is held for milliseconds ends with an error.
LOCK_TIMEOUT = 60.0

#: Seconds between two looks at a lock that somebody else holds: the first, and the longest.
FIRST_PAUSE = 0.0001
LONGEST_PAUSE = 0.002


class DriveLock:
    """The lock of one drive.

    Args:
        path: File of the lock.
        timeout: Seconds to wait for it; `LOCK_TIMEOUT` if not given.

    Attributes:
        path: The same.
    """

    def __init__(self, path: str, timeout: float | None = None) -> None:
        self.path = path
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
        try:  # before it is taken: who is interrupted just after that gives it back, too
            self._acquire(lock)
            self._admit(lock)
            self._sign()
            yield
        finally:
            lock.release()

    def _new_lock(self) -> BaseFileLock:
        import filelock  # noqa: PLC0415 - 75 ms that only those who write to a drive pay

        return filelock.FileLock(self.path, timeout=0, mode=0o600)

    def _acquire(self, lock: BaseFileLock) -> None:
        import filelock  # noqa: PLC0415 - loaded by `_new_lock`

        def is_taken() -> bool:
            try:
                lock.acquire()
            except filelock.Timeout:
                return False
            return True

        try:
            _insist(is_taken, self.path, self.path, self._timeout)
        except DriveLockTimeout:
            raise
        except (OSError, RuntimeError) as error:  # the latter in a signal handler in the midst of it
            raise DriveLockError(
                f"The lock {shown(self.path)} of the drive can't be used: {error}; look what is there."
            ) from error

    def _admit(self, lock: BaseFileLock) -> None:
        """Refuse a FIFO or the like, and what `filelock` takes where the file system has no locks."""
        import filelock  # noqa: PLC0415 - loaded by `_new_lock`

        there = disk.look(self.path)
        if there is not None and not S_ISREG(there.st_mode):
            raise DriveLockError(
                f"The lock {shown(self.path)} of the drive is no regular file; look what it is."
            )
        if not isinstance(lock, filelock.UnixFileLock):
            raise DriveLockError(
                f"The file system of {shown(self.path)} has no locks; put the root elsewhere."
            )

    def _sign(self) -> None:
        with suppress(OSError):  # nothing else depends on it
            fd = disk.open_file(self.path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            try:
                sign(fd)
            finally:
                disk.close(fd)


def wait_for(
    fd: int, kind: int, path: str, holder: str, dir_fd: int | None = None, timeout: float | None = None
) -> None:
    """Take a lock of an open file or folder that others hold for milliseconds.

    Args:
        fd: Its descriptor.
        kind: `disk.LOCK_SH` or `disk.LOCK_EX`.
        path: Where it is, for the error.
        holder: File in which the holder signs.
        dir_fd: Open folder that `holder` refers to, if it is relative.
        timeout: Seconds to wait; `LOCK_TIMEOUT` if not given.

    Raises:
        DriveLockTimeout: Somebody else did not give it back; the message says who.
    """

    def is_taken() -> bool:
        try:
            disk.flock(fd, kind | disk.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _insist(is_taken, path, holder, timeout, dir_fd)


def _insist(
    is_taken: Callable[[], bool], path: str, holder: str, timeout: float | None, dir_fd: int | None = None
) -> None:
    """Try again and again to take a lock, soon at first."""
    timeout = LOCK_TIMEOUT if timeout is None else timeout
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while not is_taken():
        if time.monotonic() > deadline:
            raise _timed_out(path, holder, timeout, dir_fd)
        select([], [], [], pause)
        pause = min(pause * 2, LONGEST_PAUSE)


def sign(fd: int) -> None:
    """Write into an open file who holds a lock and since when."""
    with suppress(OSError):  # only the error of those who wait too long depends on it
        disk.pwrite(fd, f"{os.getpid():<10} {time.time():<18.3f}\n".encode(), 0)


def _timed_out(path: str, holder: str, timeout: float, dir_fd: int | None = None) -> DriveLockTimeout:
    try:
        fd = disk.open_file(holder, disk.READ, dir_fd=dir_fd)
        try:
            pid, since = disk.pread(fd, 64, 0).split()
        finally:
            disk.close(fd)
        who = f"process {int(pid)} holds it for {time.time() - float(since):.1f} s"
    except (OSError, ValueError):
        who = "nobody knows who holds it"
    return DriveLockTimeout(
        f"The lock {shown(path)} of the drive was not free within {timeout:g} s: {who}; "
        f"look what that process does, continue or end it."
    )
