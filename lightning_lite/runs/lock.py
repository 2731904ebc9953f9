"""The lock of a run: one process at a time writes its journal.

It is a lock of the system (`flock`), so the system releases it when its process dies. `filelock` uses the
same lock; it is not used here because its import takes 85 ms, and because its releases before 4 empty the
file and let a forked child keep the lock. The file is not deleted before its run: another process could
create a new file and lock that one while the first lock is still held.
"""

from __future__ import annotations

import json
import os
import stat
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from fcntl import LOCK_EX, LOCK_NB, LOCK_SH, LOCK_UN, flock
from select import select
from time import monotonic
from typing import Any, NamedTuple

from lightning_lite.errors import JournalError, JournalInUse
from lightning_lite.places import Place, this_host
from lightning_lite.text import one_line

#: Seconds to wait for the lock of a dead process. If a process is killed while it starts another one, the new
#: process has copies of its open files, and with them the lock, until it calls exec().
_DEAD_HOLDER_TIMEOUT = 5.0
_RETRY_INTERVAL = 0.002

_READ_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class RunLock:
    """The lock of one run.

    Args:
        folder: Absolute path of the folder of the run.
    """

    def __init__(self, folder: str) -> None:
        self.path = os.path.join(folder, "journal.lock")
        self._folder = folder
        self._fd: int | None = None

    def acquire(self) -> None:
        """Take the lock, or raise at once; wait only if the process that holds it is dead.

        Raises:
            JournalInUse: Another process, or another journal in this process, holds the lock.
            JournalError: The lock file is not a regular file, or the file system does not support locks.
        """
        until = monotonic() + _DEAD_HOLDER_TIMEOUT
        try:
            while self._fd is None:
                try:
                    # Exclusive, because the holder writes its name after it has locked the file: a process
                    # that finds the file locked could otherwise read the name of an earlier holder.
                    with _exclusive_access(self._folder):
                        self._fd = self._open_and_lock()
                except JournalInUse as error:
                    if not _is_dead(error) or monotonic() >= until:
                        raise
                    select((), (), (), _RETRY_INTERVAL)
        except OSError as error:
            raise JournalError(
                f"the lock {self.path!r} of the run can't be used: {error.strerror}; "
                "check what is at that path",
                file=self.path,
            ) from error
        _held.add(self)

    def release(self) -> None:
        """Release the lock; without effect if it is not held."""
        fd, self._fd = self._fd, None
        if fd is not None:
            _held.discard(self)
            flock(fd, LOCK_UN)  # close() does not unlock while a child that was just forked has a copy of fd
            os.close(fd)

    def _open_and_lock(self) -> int:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise JournalError(f"the lock {self.path!r} of the run is not a regular file", file=self.path)
            try:
                flock(fd, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise self._in_use(os.pread(fd, 4096, 0)) from None
            os.ftruncate(fd, 0)
            os.pwrite(fd, _signature(), 0)
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


def find_holder(folder: str) -> Holder | None:
    """Return the process that holds the lock of a run, or `None`. The lock is not taken.

    Args:
        folder: Absolute path of the folder of the run.

    Raises:
        OSError: This user may not read the folder.
    """
    with _exclusive_access(folder):
        try:
            fd = os.open(os.path.join(folder, "journal.lock"), _READ_FLAGS)
        except FileNotFoundError:
            return None
        try:
            flock(fd, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            return Holder(**(_read_signature(os.pread(fd, 4096, 0)) or dict.fromkeys(Holder._fields)))
        finally:
            os.close(fd)  # also releases the shared lock
    return None


@contextmanager
def _exclusive_access(folder: str) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flock(fd, LOCK_EX)  # waits only microseconds: no process holds it longer
        yield
    finally:
        flock(fd, LOCK_UN)
        os.close(fd)


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
        return {"pid": int(found["pid"]), "host": str(found["host"]), "since": str(found["since"])}
    except (ValueError, TypeError, KeyError):
        return None  # another program wrote the text; the lock counts, not the text


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _close_all() -> None:
    for lock in list(_held):
        lock._close_in_child()
    _held.clear()


os.register_at_fork(after_in_child=_close_all)
