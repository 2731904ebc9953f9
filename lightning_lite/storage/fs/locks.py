"""The lock of a drive: one holder at a time, in any number of processes and threads.

Who dies gives it back, a forked child does not keep it, and the file of the lock is never deleted:
a second holder could get in beside the first one. The holder signs, so that who waits too long for this
lock, or for one that is held along with it, can say whom he waited for.
"""

from __future__ import annotations

import _thread  # the lock and the names of threads, without the rest of threading
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from select import select
from stat import S_ISREG

from lightning_lite.storage.errors import DriveLockError, DriveLockTimeout, shown
from lightning_lite.storage.fs import syscalls

#: Seconds after which waiting for a lock that is held for milliseconds ends with an error.
LOCK_TIMEOUT = 60.0

#: Tries to take a lock that somebody else holds before the first pause: it is held for about as long.
EAGER_TRIES = 20

#: Seconds between two tries after that: the first, and the longest; each is longer than the one before.
FIRST_PAUSE = 0.00005
LONGEST_PAUSE = 0.002
_GROWTH = 1.2

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#: What the system says where it has no locks.
_NO_LOCKS = syscalls.UNKNOWN | {errno.ENOLCK}

#: Who holds a lock: its file, and the thread.
_Holder = tuple[str, int]

#: All who hold one in this process, with its descriptor.
_held: dict[_Holder, int] = {}

#: Held while a descriptor comes or goes: a process that is forked in between would keep it.
_no_fork = _thread.RLock()


class DriveLock:
    """The lock of one drive; a thread that holds it may take it again.

    Args:
        path: File of the lock.
        timeout: Seconds to wait for it; `LOCK_TIMEOUT` if not given.

    Attributes:
        path: The same.
    """

    def __init__(self, path: str, timeout: float | None = None) -> None:
        self.path = path
        self._timeout = timeout

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in the `with` block.

        Raises:
            DriveLockTimeout: Somebody else did not give it back; the message says who.
            DriveLockError: The file of the lock is something else, or locks do not work here.
        """
        holder = self.path, _thread.get_ident()
        if holder in _held:
            yield  # in a signal handler: whom it interrupts goes on only after it
            return
        try:  # before it is taken: who is interrupted just after that gives it back, too
            self._take(holder)
            yield
        finally:
            _give_back(holder)

    def _take(self, holder: _Holder) -> None:
        try:
            while not self._is_taken(holder):
                _give_back(holder)  # somebody deleted the file meanwhile: there may be a new one
        except DriveLockError:
            raise
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise DriveLockError(
                    f"The file system of {shown(self.path)} has no locks; put the root elsewhere."
                ) from error
            raise DriveLockError(
                f"The lock {shown(self.path)} of the drive can't be used: {error}; look what is there."
            ) from error

    def _is_taken(self, holder: _Holder) -> bool:
        """Take the lock, and say whether its file is still there."""
        import filelock  # noqa: PLC0415 - 75 ms that only those who write to a drive pay

        with _no_fork:
            _held[holder] = fd = syscalls.open_file(self.path, _OPEN, 0o600)
        _insist(partial(filelock.lock_descriptor, fd, blocking=False), self.path, self.path, self._timeout)
        there = syscalls.fstat(fd)
        if not S_ISREG(there.st_mode):
            raise DriveLockError(
                f"The lock {shown(self.path)} of the drive is no regular file; look what it is."
            )
        sign(fd)
        return there.st_nlink > 0


def _give_back(holder: _Holder) -> None:
    with _no_fork:
        fd = _held.pop(holder, None)
        if fd is not None:  # else it was not taken, or this is a forked child
            with suppress(OSError):  # not only closed: a child that Python has not forked may have it, too
                syscalls.flock(fd, syscalls.LOCK_UN)
            syscalls.close(fd)


def _let_go_in_child() -> None:
    """Close what belongs to the parent; whoever gives something back here finds that it is gone."""
    for fd in _held.values():
        syscalls.close(fd)
    _held.clear()
    _no_fork.release()


os.register_at_fork(
    before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_let_go_in_child
)


def wait_for(
    fd: int, kind: int, path: str, holder: str, dir_fd: int | None = None, timeout: float | None = None
) -> None:
    """Take a lock of an open file or folder that others hold for milliseconds.

    Args:
        fd: Its descriptor.
        kind: `syscalls.LOCK_SH` or `syscalls.LOCK_EX`.
        path: Where it is, for the error.
        holder: File in which the holder signs.
        dir_fd: Open folder that `holder` refers to, if it is relative.
        timeout: Seconds to wait; `LOCK_TIMEOUT` if not given.

    Raises:
        DriveLockTimeout: Somebody else did not give it back; the message says who.
    """

    def is_taken() -> bool:
        try:
            syscalls.flock(fd, kind | syscalls.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _insist(is_taken, path, holder, timeout, dir_fd)


def _insist(
    is_taken: Callable[[], bool], path: str, holder: str, timeout: float | None, dir_fd: int | None = None
) -> None:
    """Try again and again to take a lock, soon at first."""
    for _ in range(EAGER_TRIES):
        if is_taken():
            return
        os.sched_yield()  # the holder may be waiting for this very processor
    timeout = LOCK_TIMEOUT if timeout is None else timeout
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while not is_taken():
        if time.monotonic() > deadline:
            raise _timed_out(path, holder, timeout, dir_fd)
        select([], [], [], pause)
        pause = min(pause * _GROWTH, LONGEST_PAUSE)


def sign(fd: int) -> None:
    """Write into an open file who holds a lock and since when."""
    with suppress(OSError):  # only the error of those who wait too long depends on it
        syscalls.pwrite(fd, b"%-10d %-18.3f\n" % (os.getpid(), time.time()), 0)


def _timed_out(path: str, holder: str, timeout: float, dir_fd: int | None = None) -> DriveLockTimeout:
    try:
        fd = syscalls.open_file(holder, syscalls.READ, dir_fd=dir_fd)
        try:
            pid, since = syscalls.pread(fd, 64, 0).split()
        finally:
            syscalls.close(fd)
        who = f"process {int(pid)} holds it for {time.time() - float(since):.1f} s"
    except (OSError, ValueError):
        who = "nobody knows who holds it"
    return DriveLockTimeout(
        f"The lock {shown(path)} of the drive was not free within {timeout:g} s: {who}; "
        f"look what that process does, continue or end it."
    )
