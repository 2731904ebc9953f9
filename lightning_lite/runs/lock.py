"""The lock of a run: one process at a time writes its journal.

It is the system's own lock (`flock`), the same that `filelock` takes, so who dies gives it back. It is
taken here without `filelock`, whose import takes longer (85 ms) than the start of an app may, and whose
releases before 4 empty the file and let a forked child keep the lock. The file is never deleted as long
as the run is there: a second holder could get in beside the first one.
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
from lightning_lite.text import one_line

#: Seconds that are left to a holder that is dead: who is killed while it starts a process leaves that a copy
#: of all it had open, until it has become another program.
_LAST_BREATH = 5.0
_BETWEEN_TRIES = 0.002

_LOOK = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


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
        """Take the lock, or say who has it: at once, unless that one is dead.

        Raises:
            JournalInUse: Another process, or another journal in this one, holds it.
            JournalError: The file of the lock is something else, or locks do not work here.
        """
        until = monotonic() + _LAST_BREATH
        try:
            while self._fd is None:
                try:
                    # Whoever looks or signs does it alone, so the name that a loser reads is the winner's.
                    with _alone_at(self._folder):
                        self._fd = self._take()
                except JournalInUse as error:
                    if not _is_dead(error) or monotonic() >= until:
                        raise
                    select((), (), (), _BETWEEN_TRIES)
        except OSError as error:
            raise JournalError(
                f"the lock {self.path!r} of the run can't be used: {error.strerror}; "
                "look what is at that path",
                file=self.path,
            ) from error
        _held.add(self)

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        fd, self._fd = self._fd, None
        if fd is not None:
            _held.discard(self)
            flock(fd, LOCK_UN)  # closing would not do it while a child that is being forked has a copy
            os.close(fd)

    def _take(self) -> int:
        fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise JournalError(f"the lock {self.path!r} of the run is no regular file", file=self.path)
            try:
                flock(fd, LOCK_EX | LOCK_NB)
            except BlockingIOError:
                raise self._in_use(os.pread(fd, 4096, 0)) from None
            os.ftruncate(fd, 0)
            os.pwrite(fd, _sign(), 0)
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

    def _forget(self) -> None:
        """Let go of the lock in a forked child, without taking it from the parent."""
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)


class Holder(NamedTuple):
    """Who holds a run, as far as it has said so.

    Attributes:
        pid: Its process id on `host`, or `None`.
        host: Name of its computer, or `None`.
        since: When it began, in ISO 8601, or `None`.
    """

    pid: int | None
    host: str | None
    since: str | None


def find_holder(folder: str) -> Holder | None:
    """Return who holds a run, or `None`; nobody is kept from taking it meanwhile.

    Args:
        folder: Absolute path of the folder of the run.

    Raises:
        OSError: This user may not look into the run.
    """
    with _alone_at(folder):
        try:
            fd = os.open(os.path.join(folder, "journal.lock"), _LOOK)
        except FileNotFoundError:
            return None
        try:
            flock(fd, LOCK_SH | LOCK_NB)
        except BlockingIOError:
            return Holder(**(_read_signature(os.pread(fd, 4096, 0)) or dict.fromkeys(Holder._fields)))
        finally:
            os.close(fd)  # and with it what was taken
    return None


@contextmanager
def _alone_at(folder: str) -> Iterator[None]:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        flock(fd, LOCK_EX)  # for microseconds
        yield
    finally:
        flock(fd, LOCK_UN)
        os.close(fd)


def _is_dead(error: JournalInUse) -> bool:
    """Return whether the process that signed a lock was one of this computer and is gone."""
    if error.pid is None or error.host != os.uname().nodename:
        return False
    try:
        os.kill(error.pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return False


def _sign() -> bytes:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"pid": os.getpid(), "host": os.uname().nodename, "since": now}).encode() + b"\n"


def _read_signature(text: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(text)
        return {"pid": int(found["pid"]), "host": str(found["host"]), "since": str(found["since"])}
    except (ValueError, TypeError, KeyError):
        return None  # somebody else's text; the lock counts, not what it says


_held: weakref.WeakSet[RunLock] = weakref.WeakSet()


def _forget_all() -> None:
    for lock in list(_held):
        lock._forget()
    _held.clear()


os.register_at_fork(after_in_child=_forget_all)
