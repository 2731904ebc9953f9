"""The lock of a drive: one holder at a time, in any number of processes and threads.

The kernel releases the lock when its holder dies, and a forked child does not hold it. The file of the lock
is never deleted: a process that opened the old file and one that creates a new file would both hold "the"
lock. The holder writes its pid and host into the file, so that a timeout of another process can name it.
"""

from __future__ import annotations

import _thread  # the lock and the names of threads, without the rest of threading
import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from stat import S_ISREG

from lightning_lite.harmless_text import one_line
from lightning_lite.polling import wait_between_tries
from lightning_lite.process_places import Place, this_host
from lightning_lite.quantity_text import format_seconds
from lightning_lite.storage.errors import DriveLockError, DriveLockTimeout, shown
from lightning_lite.storage.fs import syscalls

#: The name of this host, asked once, because each put writes it.
_HOST = this_host()

#: Seconds to wait for a lock; holders keep it for milliseconds only.
LOCK_TIMEOUT = 60.0

#: Seconds within which the creator of a lock in a group root lets the group write its file.
CREATION_TIME = 1.0

#: Attempts before the first pause: together they take about as long as a lock is usually held.
EAGER_TRIES = 20

#: First and longest pause in seconds between two later attempts; the pause grows with each attempt.
FIRST_PAUSE = 0.00005
LONGEST_PAUSE = 0.002
_GROWTH = 1.2

_OPEN = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

#: Errors of a file system that has no locks.
_NO_LOCKS = syscalls.UNKNOWN | {errno.ENOLCK}

#: A holder of a lock: the path of the lock, and the thread.
_Holder = tuple[str, int]

#: The holders in this process, with the descriptor of the lock.
_held: dict[_Holder, int] = {}

#: Held while a descriptor is opened or closed: a child forked at that moment would inherit it unnoticed.
_no_fork = _thread.RLock()


class DriveLock:
    """The lock of one drive; it is re-entrant per thread.

    Args:
        path: File of the lock.
        timeout: Seconds to wait for it; `LOCK_TIMEOUT` by default.

    Attributes:
        path: File of the lock.
        is_shared: Whether the users of a group take it, so that all of them must be able to write its file.
    """

    def __init__(self, path: str, timeout: float | None = None) -> None:
        self.path = path
        self.is_shared = False
        self._timeout = timeout

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock in the `with` block.

        Raises:
            DriveLockTimeout: Another process held it for too long; the message names that process.
            DriveLockError: The file of the lock is not a regular file, or the file system has no locks.
        """
        holder = self.path, _thread.get_ident()
        if holder in _held:
            yield  # re-entered, for example in a signal handler: the outer block continues after this one
            return
        try:  # begins before _take(), so that an exception of a signal handler right after it releases, too
            self._take(holder)
            yield
        finally:
            _release(holder)

    def _take(self, holder: _Holder) -> None:
        try:
            while not self._is_taken(holder):
                _release(holder)  # the file was deleted while we waited: try again with the new one
        except DriveLockError:
            raise
        except OSError as error:
            if error.errno in _NO_LOCKS:
                raise DriveLockError(
                    f"The file system of {shown(self.path)} has no locks; use a root on another file system."
                ) from error
            raise DriveLockError(
                f"The lock {shown(self.path)} of the drive can't be used: {error}; check the file."
            ) from error

    def _is_taken(self, holder: _Holder) -> bool:
        """Take the lock.

        Returns:
            Whether its file still exists.
        """
        import filelock  # noqa: PLC0415 - takes 75 ms; only writers need it

        with _no_fork:
            _held[holder] = fd = self._open()
        _acquire(partial(filelock.lock_descriptor, fd, blocking=False), self.path, self.path, self._timeout)
        there = syscalls.fstat(fd)
        if not S_ISREG(there.st_mode):
            raise DriveLockError(
                f"The lock {shown(self.path)} of the drive is not a regular file; check what it is."
            )
        write_holder(fd)
        return there.st_nlink > 0

    def _open(self) -> int:
        """Open the file of the lock; in a group root its creator gives it to the group."""
        deadline = time.monotonic() + CREATION_TIME
        while True:
            try:
                fd = syscalls.open_file(self.path, _OPEN, 0o600)
                break
            except PermissionError:
                if not self.is_shared or time.monotonic() > deadline:
                    raise
                wait_between_tries(LONGEST_PAUSE)  # its creator is about to give it to the group
        if self.is_shared:
            found = syscalls.fstat(fd)
            if found.st_uid == os.geteuid() and found.st_mode & 0o060 != 0o060:
                syscalls.fchmod(fd, 0o660)
        return fd


def _release(holder: _Holder) -> None:
    with _no_fork:
        fd = _held.pop(holder, None)
        if fd is not None:  # None if the lock was not taken, or in a forked child
            with suppress(OSError):  # unlock as well: a child process may have inherited the descriptor
                syscalls.flock(fd, syscalls.LOCK_UN)
            syscalls.close(fd)


def _forget_in_child() -> None:
    """Close the descriptors of the parent; a later `_release` in the child finds none."""
    for fd in _held.values():
        syscalls.close(fd)
    _held.clear()
    _no_fork.release()


os.register_at_fork(
    before=_no_fork.acquire, after_in_parent=_no_fork.release, after_in_child=_forget_in_child
)


def wait_for(
    fd: int, kind: int, path: str, holder: str, dir_fd: int | None = None, timeout: float | None = None
) -> None:
    """Lock an open file or folder that others lock for milliseconds.

    Args:
        fd: Its descriptor.
        kind: `syscalls.LOCK_SH` or `syscalls.LOCK_EX`.
        path: Its path, for the error.
        holder: File into which the holder writes its pid and host.
        dir_fd: Open folder to which `holder` is relative.
        timeout: Seconds to wait; `LOCK_TIMEOUT` by default.

    Raises:
        DriveLockTimeout: Another process held it for too long; the message names that process.
    """

    def is_taken() -> bool:
        try:
            syscalls.flock(fd, kind | syscalls.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    _acquire(is_taken, path, holder, timeout, dir_fd)


def _acquire(
    is_taken: Callable[[], bool], path: str, holder: str, timeout: float | None, dir_fd: int | None = None
) -> None:
    """Call `is_taken` until it returns true: at first without a pause, then with growing pauses."""
    for _ in range(EAGER_TRIES):
        if is_taken():
            return
        os.sched_yield()  # the holder may need this processor to finish
    timeout = LOCK_TIMEOUT if timeout is None else timeout
    deadline = time.monotonic() + timeout
    pause = FIRST_PAUSE
    while not is_taken():
        if time.monotonic() > deadline:
            raise _timed_out(path, holder, timeout, dir_fd)
        wait_between_tries(pause)
        pause = min(pause * _GROWTH, LONGEST_PAUSE)


def write_holder(fd: int) -> None:
    """Write into an open file which process holds a lock, and since when."""
    with suppress(OSError):  # only the message of a timeout depends on it
        # The line ends with the name, because a longer one of an earlier holder may follow.
        line = f"{os.getpid():<10} {time.time():<18.3f} {_HOST}\n"
        syscalls.pwrite(fd, line.encode(errors="replace"), 0)


def _timed_out(path: str, holder: str, timeout: float, dir_fd: int | None = None) -> DriveLockTimeout:
    try:
        fd = syscalls.open_file(holder, syscalls.READ, dir_fd=dir_fd)
        try:
            pid, since, host = syscalls.pread(fd, 512, 0).partition(b"\n")[0].split()
        finally:
            syscalls.close(fd)
        seconds = format_seconds(time.time() - float(since))
        holder_text = f"{Place(one_line(host), int(pid))} holds it for {seconds}"
    except (OSError, ValueError):
        holder_text = "the holder is unknown"
    return DriveLockTimeout(
        f"The lock {shown(path)} of the drive was not free within {timeout:g} s: {holder_text}; "
        f"check that process, and continue or end it."
    )
