"""Waits for a new file in a drive.

Everything that is put is moved out of the staging folder of the drive, so one inotify watch on that folder
notices every arrival, wherever in the drive it goes. Without inotify, and on a network file system, the
waiter polls with growing pauses.
"""

from __future__ import annotations

import os
from select import poll
from types import TracebackType
from typing import Self

from lightning_lite.file_system_types import file_system_type
from lightning_lite.polling import wait_between_tries
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.probe import NETWORK

_IN_MOVED_FROM = 0x40
_IN_DELETE = 0x200
_IN_DELETE_SELF = 0x400
_IN_MOVE_SELF = 0x800

#: Bytes of events that are read at once; their content does not matter.
_EVENTS = 64 * 1024

#: First and longest pause in seconds between two polls without inotify.
FIRST_PAUSE = 0.001
LONGEST_PAUSE = 0.02

#: Longest wait in seconds for an event. Python runs the handler of a signal that arrives just before `poll`
#: only after it, so without a limit, Ctrl-C or the stop of a work could wait until the whole time is over.
LONGEST_SLEEP = 1.0


class Arrivals:
    """Notices files that are moved out of a folder, from the beginning of the `with` block.

    Args:
        folder: The staging folder of a drive.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._fd: int | None = None
        self._pause = FIRST_PAUSE

    @property
    def has_events(self) -> bool:
        """Whether the system reports events; else `wait` returns after a pause."""
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
            wait_between_tries(min(timeout, self._pause))
            self._pause = min(self._pause * 2, LONGEST_PAUSE)
            return
        events = poll()
        events.register(self._fd)
        if events.poll(min(max(timeout, 0.0), LONGEST_SLEEP) * 1000):
            syscalls.read(self._fd, _EVENTS)


def _open_inotify(folder: str) -> int | None:
    """Return an inotify descriptor with the events of `folder`, or `None` if they are not available."""
    if file_system_type(folder) in NETWORK:
        return None  # inotify does not report changes by other machines
    import ctypes  # noqa: PLC0415 - takes 5 ms; only a `get` that waits needs it

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "inotify_init1"):
        return None
    fd: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if fd < 0:
        return None  # the user's limit of watches is reached
    mask = _IN_MOVED_FROM | _IN_DELETE | _IN_DELETE_SELF | _IN_MOVE_SELF
    if libc.inotify_add_watch(fd, os.fsencode(folder), mask) < 0:
        syscalls.close(fd)
        return None
    return fd
