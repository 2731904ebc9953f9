"""Waits for pipes and processes: one poller for all of an app, and a short busy wait before it blocks.

The time of one turn depends on the number of events, not on the number of pipes. The process of a work uses
only `SpinWait`, so this module imports little.
"""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # signal itself makes enums, for 3 ms
import os
import select
from _thread import RLock, get_ident  # threading would cost each work 1 ms
from functools import partial
from time import perf_counter

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from lightning_lite.runners.wire.channel import PipeWriter

    class Writer(Protocol):
        """Keeps the bytes that its file descriptor does not accept; a `PipeWriter`, for example."""

        fd: int

        def push(self) -> bool:
            """Write as much as is accepted; return whether everything is out.

            Raises:
                BrokenPipeError: The reader is gone.
            """


#: Maximum of seconds of a busy wait: a few times the cost of putting a thread to sleep and to wake it. Many
#: calls take no longer.
LONGEST = 200e-6

_let_others_run = getattr(os, "sched_yield", lambda: None)


class SpinWait:
    """Polls without blocking for a short time after a message was sent, if the last answer came that quickly.

    To wake a sleeping processor takes longer than a short call, because a hypervisor or a timer wakes it.

    Args:
        poller: A poller of `select`.
    """

    def __init__(self, poller: Any) -> None:
        self._poller = poller
        self._sent_at = 0.0  # 0 if nothing was sent since the last answer
        self._is_quick = False

    def sent(self) -> None:
        """Note that a message was sent now."""
        self._sent_at = perf_counter()

    def answered(self) -> None:
        """Note that something has arrived now; the next answer is expected to take as long."""
        if self._sent_at:
            self._is_quick = perf_counter() - self._sent_at < LONGEST
            self._sent_at = 0.0

    def spin(self) -> list[tuple[int, int]]:
        """Return the descriptors that are ready soon after the sending, as `poller.poll` does."""
        ready: list[tuple[int, int]] = []
        if self._is_quick:
            until = self._sent_at + LONGEST
            while not (ready := self._poller.poll(0)) and perf_counter() < until:
                _let_others_run()
        return ready


class Poller:
    """Waits until a pipe can be read, a full pipe accepts more, or another thread calls `wake`.

    Args:
        on_wake: Called in a turn after `wake` was called.
        main_thread: Identifier of the thread in which Python runs signal handlers.
    """

    def __init__(self, on_wake: Callable[[], None], main_thread: int | None) -> None:
        self._on_wake = on_wake
        self._main_thread = main_thread
        self._callbacks: dict[int, Callable[[], Any]] = {}
        # Not `selectors`: its classes cost as much as reading and unpickling a message. Without epoll, poll
        # is used: it has the same methods and bits, but takes milliseconds.
        self._is_epoll = hasattr(select, "epoll")
        self._poller: Any = select.epoll() if self._is_epoll else select.poll()
        self._full: set[int] = set()  # descriptors of pipes that accept no more
        self._spin_wait = SpinWait(self._poller)
        reader, self._wakeup_fd = os.pipe()
        os.set_blocking(reader, False)
        os.set_blocking(self._wakeup_fd, False)
        # File objects: after `close`, a late `wake` must not write into another file with the same number.
        self._reader = open(reader, "rb", buffering=0)  # noqa: SIM115 - closed by `close`
        self._writer = open(self._wakeup_fd, "wb", buffering=0)  # noqa: SIM115
        # It keeps `close` from closing the descriptor that a thread in `wake` is about to write to. A signal
        # handler may call `wake`, but not `close`, in the middle of these: one thread may take it twice.
        self._writer_lock = RLock()
        self.watch(reader, self._read_wakeups)

    def watch(self, fd: int, on_readable: Callable[[], Any]) -> None:
        """Call `on_readable` in each turn in which `fd` can be read."""
        self._callbacks[fd] = on_readable
        self._poller.register(fd, select.POLLIN)

    def unwatch(self, fd: int) -> None:
        """Forget `fd`, if it is watched."""
        if self._callbacks.pop(fd, None) is not None:
            self._poller.unregister(fd)

    def send(self, writer: PipeWriter, message: tuple[Any, ...]) -> None:
        """Write a message as far as the pipe accepts it, and the rest when it accepts more."""
        self._spin_wait.sent()
        try:
            is_out = writer.send(message)
        except BrokenPipeError:
            is_out = True  # its reader is dead, which the sentinel reports
        if not is_out or self._full:
            self._watch_full(writer, is_out)

    def push(self, writer: Writer) -> None:
        """Write as many kept bytes of `writer` as the pipe accepts, and the rest when it accepts more."""
        self._spin_wait.sent()
        try:
            is_out = writer.push()
        except BrokenPipeError:
            is_out = True
        self._watch_full(writer, is_out)

    def drop(self, writer: Writer) -> None:
        """Write no more kept bytes of `writer`."""
        if writer.fd in self._full:
            self._full.discard(writer.fd)
            self.unwatch(writer.fd)

    def wake(self) -> None:
        """End the current or the next turn; callable from any thread and signal handler."""
        with self._writer_lock:
            if not self._writer.closed:  # else no thread waits any more
                self._writer.write(b"\0")

    def turn(self, timeout: float | None) -> None:
        """Wait until something happens, and call the callbacks that it concerns.

        Args:
            timeout: Maximum of seconds to wait, `None` for no limit.
        """
        ready = (timeout != 0 and self._spin_wait.spin()) or self._block(timeout)
        if ready:
            self._spin_wait.answered()
        for fd, _ in ready:
            # A callback that was called before may have ended the process of this one.
            if (callback := self._callbacks.get(fd)) is not None:
                callback()

    def close(self) -> None:
        """Close the poller and its pipe."""
        if self._is_epoll:
            self._poller.close()
        with self._writer_lock:
            self._writer.close()
        self._reader.close()

    def close_after_fork(self) -> None:
        """Close the poller in a forked child.

        If a thread has forked while the main thread blocks, each signal would write into the next file that
        gets the number of the pipe.
        """
        self._writer_lock = RLock()  # another thread may have held it at the fork
        self.close()
        previous = signal.set_wakeup_fd(-1)
        if previous not in (-1, self._wakeup_fd):
            try:
                signal.set_wakeup_fd(previous)
            except (OSError, ValueError):
                pass  # the event loop of the user to which it belonged has closed it

    def _watch_full(self, writer: Writer, is_out: bool) -> None:
        fd = writer.fd
        if is_out:
            self.drop(writer)
        elif fd not in self._full:
            self._full.add(fd)
            self._callbacks[fd] = partial(self.push, writer)
            self._poller.register(fd, select.POLLOUT)

    def _block(self, timeout: float | None) -> list[tuple[int, int]]:
        """Poll; in the main thread, signals end it.

        Python runs signal handlers between two instructions of the main thread. If a signal arrives just
        before the thread blocks, its handler would wait until something else ends the poll. So each signal
        writes to the pipe of `wake`. This is set only while the thread blocks, because only the main thread
        can take it back, and `close` may be called in another one.
        """
        if timeout is not None and not self._is_epoll:
            timeout = -int(-timeout * 1000 // 1)  # milliseconds, rounded up
        if timeout == 0 or get_ident() != self._main_thread:
            return self._poll(timeout)
        previous = -1
        try:
            previous = signal.set_wakeup_fd(self._wakeup_fd, warn_on_full_buffer=False)
            if previous not in (-1, self._wakeup_fd):
                signal.set_wakeup_fd(previous)  # of an event loop of the user, which needs its signals
            return self._poll(timeout)
        finally:
            if previous in (-1, self._wakeup_fd):
                signal.set_wakeup_fd(-1)

    def _poll(self, timeout: float | None) -> list[tuple[int, int]]:
        ready: list[tuple[int, int]] = self._poller.poll(timeout)
        return ready

    def _read_wakeups(self) -> None:
        self._reader.read(4096)
        self._on_wake()
