"""Waits for a new file in a drive.

Whatever arrives was staged aside before, so one watch on that folder sees every arrival at once,
wherever in the drive it goes. Without inotify, and on a network, the waiter looks again and again,
more and more seldom.
"""

from __future__ import annotations

import os
from select import poll, select
from types import TracebackType
from typing import Self

from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.probe import NETWORK, kind_of

_IN_MOVED_FROM = 0x40
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800

#: Bytes of events that are taken at once; what they say does not matter, only that there are some.
_EVENTS = 64 * 1024

#: Seconds between two looks without inotify: the first, and the longest.
FIRST_PAUSE = 0.001
LONGEST_PAUSE = 0.02

#: Seconds after which the waiter looks without an event, too: `poll` takes no more than 24 days.
LONGEST_SLEEP = 3600.0


class Arrivals:
    """Hears that something has moved out of a folder; from `with` on, none is missed.

    Args:
        folder: The folder aside of a drive.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd: int | None = None
        self._pause = FIRST_PAUSE

    @property
    def is_told(self) -> bool:
        """Whether the system tells; else the waiter looks again and again."""
        return self._fd is not None

    def __enter__(self) -> Self:
        self._fd = _open_inotify(self._folder)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._fd is not None:
            syscalls.close(self._fd)

    def wait(self, timeout: float) -> None:
        """Return when something may have arrived, at the latest after `timeout` seconds."""
        if self._fd is None:
            select([], [], [], min(timeout, self._pause))
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return
        events = poll()
        events.register(self._fd)
        if events.poll(min(max(timeout, 0.0), LONGEST_SLEEP) * 1000):
            syscalls.read(self._fd, _EVENTS)


def _open_inotify(folder: str) -> int | None:
    """Return a descriptor with events of `folder`, or `None` if the system can't tell them."""
    if kind_of(folder) in NETWORK:
        return None  # it tells only what this machine does
    import ctypes  # noqa: PLC0415 - 5 ms that only a `get` pays that waits

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return None
    fd: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return None  # the user's limit of watches is used up
    mask = _IN_MOVED_FROM | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF
    if libc.inotify_add_watch(fd, os.fsencode(folder), mask) < 0:
        syscalls.close(fd)
        return None
    return fd
