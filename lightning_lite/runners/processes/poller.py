"""One poller for all pipes and processes of an app; a turn costs what happened, not what there is."""

from __future__ import annotations

import math
import os
import select
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Any

from lightning_lite.runners.wire.channel import PipeWriter
from lightning_lite.runners.wire.spin_wait import SpinWait


class Poller:
    """Waits for readable ends of pipes, for pipes that take more, and for a bell.

    Args:
        on_ring: Called in a turn after the bell has rung.
    """

    def __init__(self, on_ring: Callable[[], None]) -> None:
        self._on_ring = on_ring
        self._callbacks: dict[int, Callable[[], Any]] = {}
        # Not `selectors`, whose classes cost as much as reading and unpickling a letter. Where there is no
        # epoll, poll takes its place: the same names and bits, but milliseconds.
        self._is_epoll = hasattr(select, "epoll")
        self._poller: Any = select.epoll() if self._is_epoll else select.poll()
        self._full: set[PipeWriter] = set()
        self._spin_wait = SpinWait(self._poller)
        ear, bell = os.pipe()
        os.set_blocking(ear, False)
        os.set_blocking(bell, False)
        # File objects: a late `wake` must not write into another file that got the number of the pipe.
        self._ear = open(ear, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        self._bell = open(bell, "wb", buffering=0)  # noqa: SIM115
        self.watch(ear, self._hear)
        self._rings_for_signals = _ring_for_signals(bell)

    def watch(self, fd: int, on_readable: Callable[[], Any]) -> None:
        """Call `on_readable` in each turn in which `fd` can be read."""
        self._callbacks[fd] = on_readable
        self._poller.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`, if it is watched."""
        if self._callbacks.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def push(self, writer: PipeWriter) -> None:
        """Write as much as the pipe takes, the rest when it takes more."""
        self._spin_wait.sent()
        try:
            is_out = writer.push()
        except BrokenPipeError:
            is_out = True  # its reader has died, which the sentinel shows
        if is_out and writer in self._full:
            self.drop(writer)
        elif not is_out and writer not in self._full:
            self._full.add(writer)
            self._callbacks[writer.fd] = partial(self.push, writer)
            self._poller.register(writer.fd, select.POLLOUT)

    def drop(self, writer: PipeWriter) -> None:
        """Write no more of what `writer` has kept."""
        self._full.discard(writer)
        self.unwatch(writer.fd)

    def ring(self) -> None:
        """End the waiting of a turn; may be called from any thread and signal handler."""
        with suppress(ValueError):  # closed: no thread waits any more
            self._bell.write(b"\0")

    def turn(self, timeout: float | None) -> None:
        """Wait until something happens, at most `timeout` seconds, and call those whom it concerns."""
        if timeout is not None and not self._is_epoll:
            timeout = math.ceil(timeout * 1000)
        ready = (timeout != 0 and self._spin_wait.spin()) or self._poller.poll(timeout)
        if ready:
            self._spin_wait.answered()
        for fd, _ in ready:
            # What was called before may have ended what this one is about.
            if (callback := self._callbacks.get(fd)) is not None:
                callback()

    def close(self) -> None:
        """Give back the poller and the bell."""
        if self._rings_for_signals:
            signal.set_wakeup_fd(-1)
        if self._is_epoll:
            self._poller.close()
        self._bell.close()
        self._ear.close()

    def _hear(self) -> None:
        self._ear.read(4096)
        self._on_ring()


def _ring_for_signals(bell: int) -> bool:
    """Let each signal write to `bell`, and return whether that could be had.

    Python runs its handlers in the main thread only between two instructions: a signal that comes just
    before that falls asleep would else be heard when something wakes it, which may be never.
    """
    if threading.current_thread() is not threading.main_thread():
        return False
    others = signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
    if others != -1:
        signal.set_wakeup_fd(others)  # an event loop of the user's, which wakes the thread as well
    return others == -1
