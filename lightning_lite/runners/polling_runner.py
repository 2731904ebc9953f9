"""The base class of runners whose works are in other processes: `wait` and `close`, with a poller."""

from __future__ import annotations

import threading
from abc import abstractmethod
from collections.abc import Callable, Sequence
from time import monotonic
from types import TracebackType
from typing import NoReturn

from lightning_lite.main_messages import Report
from lightning_lite.runners.base import Runner
from lightning_lite.runners.output.pump import WorkOutput
from lightning_lite.runners.wire.poller import Poller


class CriticalSection:
    """A block that no exception of a signal handler interrupts.

    A `KeyboardInterrupt` between two instructions would lose messages that were read but not yet stored. It
    is raised at the end of the block instead.

    Args:
        on_pending: Called when an exception has to wait for the block, to end the block soon.

    Attributes:
        is_unwinding: Whether an exception was raised and no block was entered since.
    """

    def __init__(self, on_pending: Callable[[], None]) -> None:
        self._on_pending = on_pending
        self._is_inside = False
        self._error: BaseException | None = None
        self.is_unwinding = False

    def __enter__(self) -> None:
        self._is_inside = True
        self.is_unwinding = False

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._is_inside = False
        if self._error is not None:
            pending, self._error = self._error, None
            self._raise(pending)

    def interrupt(self, error: BaseException) -> None:
        """Raise `error`: now, or at the end of the current block."""
        if not self._is_inside:
            self._raise(error)
        self._error = error
        self._on_pending()

    @property
    def is_interrupted(self) -> bool:
        """Whether an exception waits for the end of the block."""
        return self._error is not None

    def _raise(self, error: BaseException) -> NoReturn:
        self.is_unwinding = True
        raise error from None  # an exception that the interrupted code was handling has not caused it


class PollingRunner(Runner):
    """Waits with a poller, and loses no report to an exception of a signal handler.

    A subclass implements `send`, `_turn`, `_has_works`, `_stop_all` and `_release`. It puts reports into
    `_reports` in the thread that calls `wait`.

    Args:
        output: Receives the output of works; `_release` closes it.
    """

    def __init__(self, output: WorkOutput) -> None:
        self._output = output
        self._reports: list[Report] = []
        self._is_closing = False
        self._is_closed = False
        self._is_awake = False
        self._must_kill_all = False
        self._poller = Poller(self._on_wake, threading.main_thread().ident)
        self._critical = CriticalSection(self._poller.wake)

    def wait(self, timeout: float | None) -> Sequence[Report]:
        """Wait for the first report, and return all that have arrived; see `Runner`."""
        until = None if timeout is None else monotonic() + timeout
        with self._critical:
            pause = 0.0 if self._has_news() else timeout
            while True:
                self._turn(pause)
                if self._has_news():
                    break
                if until is not None:
                    pause = until - monotonic()
                    if pause <= 0:
                        break
        self._is_awake = False
        return self._take_reports()

    def wake(self) -> None:
        """Make the current or the next `wait` return; callable from any thread and signal handler."""
        self._is_awake = True
        self._poller.wake()

    def close(self, timeout: float) -> Sequence[Report]:
        """Stop all works within about `timeout` seconds, kill the rest, and release all resources."""
        self._is_closing = True
        if not self._is_closed:
            try:
                self._stop_all(timeout)
                while self._has_works():
                    self._turn(None)
            finally:
                self._release()
        return self._take_reports()

    # Signals; called in their handlers.

    @property
    def is_ending(self) -> bool:
        """Whether the works are being stopped, or an exception that leads to it is under way."""
        return self._is_closing or self._critical.is_unwinding

    def interrupt(self, error: BaseException) -> None:
        """Raise `error`: now, or at the end of the current `send` or `wait`."""
        self._critical.interrupt(error)

    def kill_all(self) -> None:
        """Kill all works in the next turn, and no longer wait for a display that does not accept output."""
        self._output.limit_close()
        self._must_kill_all = True
        self._poller.wake()

    # Methods of subclasses.

    def _on_wake(self) -> None:
        """Take the items that other threads have queued, in the turn after their `wake` of the poller."""

    @abstractmethod
    def _turn(self, timeout: float | None) -> None:
        """Wait until something happens or the time is over, and handle it; also `_must_kill_all`.

        Args:
            timeout: Maximum of seconds to wait, `None` for no limit.
        """

    @abstractmethod
    def _has_works(self) -> bool:
        """Return whether a work is left for which `close` has to wait."""

    @abstractmethod
    def _stop_all(self, timeout: float) -> None:
        """Begin to stop all works, and to kill those that have not ended within about `timeout` seconds."""

    @abstractmethod
    def _release(self) -> None:
        """Release all resources; works that are left, because `close` was interrupted, are killed."""

    def _has_news(self) -> bool:
        return bool(self._reports) or self._is_awake or self._critical.is_interrupted

    def _take_reports(self) -> list[Report]:
        reports, self._reports = self._reports, []
        return reports
