"""The lock of a run: one process at a time writes its journal.

It is a lock of the system (`flock`), so the system releases it when its process dies. `filelock` uses the
same lock; it is not used here because its import takes 75 ms. Its releases before 3.30 also let each process
that asks for the lock empty the file, and let a forked child keep the lock. The file is not deleted before
its run: another process could create a new file and lock that one while the first lock is still held.

The file has the name of its holder. A process that has written the journal empties it when it releases the
lock. So a name that is left says that its process has died, also on a full disk, where nothing can be
written: to empty a file takes no space.
"""

from __future__ import annotations

import errno
import json
import os
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from time import monotonic
from typing import Any, NamedTuple

from lightning_lite.errors import JournalError, JournalInUse
from lightning_lite.harmless_text import one_line
from lightning_lite.polling import wait_between_tries
from lightning_lite.process_places import Place, this_host
from lightning_lite.regular_files import advice_for, open_folder, open_regular
from lightning_lite.settings import ROOT_VARIABLE

#: Seconds to wait for the lock of a dead process. If a process is killed while it starts another one, the new
#: process has copies of its open files, and with them the lock, until it calls exec().
_DEAD_HOLDER_TIMEOUT = 5.0
_RETRY_INTERVAL = 0.002

#: Seconds to wait for a folder that others lock for less than a millisecond: its lock may also be held by a
#: process that was suspended at that moment, or by another program.
_ACCESS_TIMEOUT = 5.0

#: Seconds for which a run that begins or is resumed waits for a folder, and the longest pause between two
#: attempts. An app that many others start with should rather start late than fail.
BEGIN_TIMEOUT = 60.0
_LONGEST_PAUSE = 0.05

#: Maximum of a process id on all systems.
_MAX_PID = 2**31 - 1


class NoLocks(OSError):
    """The file system of a run has no working locks."""


class RunLock:
    """The lock of one run.

    Args:
        folder: Absolute path of the folder of the run.

    Attributes:
        path: Absolute path of the lock file.
        was_released: Whether the lock file was empty when this process took the lock: then the last process
            that has written the journal has released it, and has not died before.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "journal.lock")
        self.was_released = False
        self._folder = folder
        self._fd: int | None = None

    def acquire(self, timeout: float | None = None, access_timeout: float | None = None) -> None:
        """Take the lock, or raise at once; wait only if the process that holds it is dead.

        Args:
            timeout: Maximum of seconds to wait for the lock of a dead process; `None` means five.
            access_timeout: Maximum of seconds to wait for the folder; `None` means a minute.

        Raises:
            JournalInUse: Another process, or another journal in this process, holds the lock.
            JournalError: The lock file is not a regular file, or the file system has no working locks.
        """
        until = monotonic() + (_DEAD_HOLDER_TIMEOUT if timeout is None else timeout)
        access_timeout = BEGIN_TIMEOUT if access_timeout is None else access_timeout
        try:
            while self._fd is None:
                try:
                    # Exclusive, because the holder writes its name after it has locked the file: a process
                    # that finds the file locked could otherwise read the name of an earlier holder.
                    with exclusive_access(self._folder, access_timeout):
                        self._fd = self._open_and_lock()
                except JournalInUse as error:
                    if not _is_dead(error) or monotonic() >= until:
                        raise
                    wait_between_tries(_RETRY_INTERVAL)
        except OSError as error:
            raise lock_error(error, self.path) from error
        _held.add(self)

    def release(self, *, has_written: bool = False) -> None:
        """Release the lock; without effect if it is not held.

        Args:
            has_written: Whether this process has written the journal. If so, the file is emptied; else only
                if it was empty before.
        """
        fd, self._fd = self._fd, None
        if fd is not None:
            _held.discard(self)
            if has_written or self.was_released:
                with suppress(OSError):  # then the next process takes this one for dead
                    os.ftruncate(fd, 0)
            _unlock(fd)
            os.close(fd)

    def _open_and_lock(self) -> int:
        is_new = not os.path.lexists(self.path)
        fd = open_regular(self.path, os.O_RDWR | os.O_CREAT)
        try:
            if not _try_lock(fd, LOCK_EX, self.path):
                raise self._in_use(os.pread(fd, 4096, 0))
            was_empty = os.fstat(fd).st_size == 0
            # In this order: the file is never empty while the lock is held, whatever fails in between.
            os.ftruncate(fd, os.pwrite(fd, _signature(), 0))
            self.was_released = was_empty and not is_new
        except BaseException:
            os.close(fd)
            raise
        return fd

    def _in_use(self, signature: bytes) -> JournalInUse:
        holder = _read_signature(signature)
        who = "another process"
        if holder is not None:
            who = one_line("process {pid} on {host} since {since}".format(**holder))
        return JournalInUse(
            f"the run {os.path.basename(self._folder)!r} is in use by {who}; "
            "wait until it has ended, or end it",
            file=self.path,
            **holder or {"pid": None, "host": None, "since": None},
        )

    def _close_in_child(self) -> None:
        """Close the file in a forked child; the parent keeps the lock."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


class Holder(NamedTuple):
    """The process that holds the lock of a run, as it wrote into the lock file.

    Attributes:
        pid: Its process id on `host`, or `None`.
        host: Name of its computer, or `None`.
        since: When it took the lock, in ISO 8601, or `None`.
    """

    pid: int | None
    host: str | None
    since: str | None

    @property
    def place(self) -> Place | None:
        """Host and process id, if both are known."""
        return Place(self.host, self.pid) if self.host is not None and self.pid is not None else None


def find_holder(folder: str, timeout: float | None = None) -> Holder | None:
    """Return the process that holds the lock of a run, or `None`. The lock is not taken.

    Args:
        folder: Absolute path of the folder of the run.
        timeout: Maximum of seconds to wait for the folder; `None` means five.

    Raises:
        OSError: This user may not read the folder, its lock is not a regular file, or the file system has no
            working locks.
    """
    path = os.path.join(folder, "journal.lock")
    with exclusive_access(folder, timeout):
        try:
            fd = open_regular(path)
        except FileNotFoundError:
            return None
        try:
            if not _try_lock(fd, LOCK_SH, path):
                return Holder(**(_read_signature(os.pread(fd, 4096, 0)) or dict.fromkeys(Holder._fields)))
        finally:
            os.close(fd)  # also releases the shared lock
    return None


@contextmanager
def exclusive_access(folder: str, timeout: float | None = None) -> Iterator[None]:
    """Lock a folder during the block, which must take less than a millisecond.

    Args:
        folder: Absolute path of the folder of a run, or of the folder of all runs.
        timeout: Maximum of seconds to wait; `None` means five.

    Raises:
        OSError: It is not a folder, can't be read, stays locked, or its file system has no working locks.
    """
    with _locked(folder, LOCK_EX, _ACCESS_TIMEOUT if timeout is None else timeout):
        yield


@contextmanager
def shared_access(folder: str, timeout: float) -> Iterator[None]:
    """Lock a folder during the block; others may have the same lock, but not `exclusive_access`.

    Args:
        folder: As for `exclusive_access`.
        timeout: Maximum of seconds to wait.

    Raises:
        OSError: As for `exclusive_access`.
    """
    with _locked(folder, LOCK_SH, timeout):
        yield


@contextmanager
def _locked(folder: str, kind: int, timeout: float) -> Iterator[None]:
    fd = open_folder(folder)
    try:
        until, pause = monotonic() + timeout, _RETRY_INTERVAL
        while not _try_lock(fd, kind, folder):
            if monotonic() >= until:
                raise OSError(errno.EBUSY, "another process keeps the folder locked", folder)
            wait_between_tries(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        try:
            yield
        finally:
            _unlock(fd)
    finally:
        os.close(fd)


def lock_error(error: OSError, path: str) -> JournalError:
    """Return the error for a lock of a run that the system refuses.

    Args:
        error: The error of the system.
        path: Absolute path of the file or folder that was to be locked.
    """
    if isinstance(error, NoLocks):
        return JournalError(
            f"locks do not work on the file system of {path!r}: {os.strerror(error.errno or 0)}; no run can "
            f"use it, so set a root on another file system with root_dir= or {ROOT_VARIABLE}",
            file=path,
        )
    if error.errno == errno.EBUSY:
        return JournalError(
            f"{error.filename!r} can't be locked: {error.strerror}; end that process", file=path
        )
    advice = advice_for(error, "check what is at that path")
    return JournalError(f"the lock {path!r} of the run can't be used: {error.strerror}; {advice}", file=path)


def _try_lock(fd: int, kind: int, path: str) -> bool:
    """Lock an open file, and return `True`; or return `False` if another process has locked it.

    Raises:
        NoLocks: The file system can't lock it.
    """
    try:
        flock(fd, kind | LOCK_NB)
    except BlockingIOError:
        return False
    except OSError as error:
        why = os.strerror(error.errno or 0)
        raise NoLocks(error.errno, f"locks do not work on its file system ({why})", path) from error
    return True


def _unlock(fd: int) -> None:
    """Unlock a file that is closed next; close() does not while a child that was just forked has a copy."""
    with suppress(OSError):
        flock(fd, LOCK_UN)


def _is_dead(error: JournalInUse) -> bool:
    """Return whether the process that holds a lock ran on this computer and has ended."""
    if error.pid is None or error.host != this_host():
        return False
    try:
        os.kill(error.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _signature() -> bytes:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": this_host(), "since": now}).encode() + b"\n"


def _read_signature(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
        pid, host, since = found["pid"], found["host"], found["since"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None  # another program wrote the text; the lock counts, not the text
    if type(pid) is not int or not 0 < pid <= _MAX_PID:
        return None
    return {"pid": pid, "host": str(host), "since": str(since)}


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _close_all() -> None:
    for lock in list(_held):
        lock._close_in_child()
    _held.clear()


os.register_at_fork(after_in_child=_close_all)
