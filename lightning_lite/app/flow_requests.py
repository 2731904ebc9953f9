"""Requests of other threads to the flow, and the answers for which these threads wait.

    another thread                      the thread of the flow
    ask(handler) ── queue, wake ──▶ turn: take ──▶ machine.step runs the handler
         ▲                                              │ events ──▶ journal
         └───────────── the value or the error ─────────┘

The flow alone changes the state of an app, so that each change is an event of the run. The answer is given
when that event is in the journal.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from threading import Event, Lock
from typing import Any, TypeVar

from lightning_lite.errors import AppEnding, NoAnswer
from lightning_lite.messages import HandlerWanted

T = TypeVar("T")

#: Seconds for which a request waits for its answer.
TIME_LIMIT = 30.0


class FlowRequests:
    """The requests to the flow of one run; `ask` is callable from any thread but that of the flow.

    Args:
        wake: Makes the flow's thread call `take` soon; callable from any thread.

    Attributes:
        is_asked: Whether `take` would return something.

    Example:
        >>> requests = FlowRequests(lambda: None)
        >>> requests.is_asked, requests.take()
        (False, [])
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self.is_asked = False
        self._wake = wake
        self._lock = Lock()
        self._queue: deque[_Pending] = deque()
        self._unanswered: set[_Pending] = set()
        self._is_closed = False

    def ask(self, handler: Callable[[], T], timeout: float = TIME_LIMIT) -> T:
        """Let the thread of the flow call a function, and return its value.

        Args:
            handler: The function; it may change the state of the app, and can't wait for calls of works.
            timeout: Seconds to wait for the answer.

        Raises:
            AppEnding: The app ends before the answer.
            NoAnswer: There is no answer in time. A function that has not begun is never called.
            Exception: The function has raised it.
        """
        pending = _Pending(handler)
        with self._lock:
            if self._is_closed:
                raise AppEnding(_ENDING)
            self._queue.append(pending)
            self._unanswered.add(pending)
            self.is_asked = True
        self._wake()
        try:
            value: T = pending.wait(timeout)
        finally:
            with self._lock:
                self._unanswered.discard(pending)
        return value

    def take(self) -> list[HandlerWanted]:
        """Return the requests that have arrived, in order; called in the thread of the flow."""
        with self._lock:
            self.is_asked = False
            taken = [HandlerWanted("root", pending.begin, pending.answer) for pending in self._queue]
            self._queue.clear()
        return taken

    def close(self) -> None:
        """Refuse all requests that have no answer yet, and all later ones."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()
            unanswered = list(self._unanswered)
        for pending in unanswered:
            pending.answer(None, AppEnding(_ENDING))


_ENDING = "The app is ending, so its flow answers no requests any more."


class _Pending:
    """One request, and the thread that waits for its answer."""

    def __init__(self, handler: Callable[[], Any]) -> None:
        self._handler = handler
        self._lock = Lock()
        self._is_answered = Event()
        self._has_begun = False
        self._is_given_up = False
        self._value: Any = None
        self._error: Exception | None = None

    def begin(self) -> Callable[[], Any] | None:
        """Return the function, or `None` if nothing waits for its answer any more."""
        with self._lock:
            self._has_begun = not (self._is_given_up or self._is_answered.is_set())
            return self._handler if self._has_begun else None

    def answer(self, value: Any, error: Exception | None) -> None:
        """Give the answer to the thread that waits; only the first one counts."""
        with self._lock:
            if not self._is_answered.is_set():
                self._value, self._error = value, error
                self._is_answered.set()

    def wait(self, timeout: float) -> Any:
        """Return the value once it is there; see `FlowRequests.ask`."""
        self._is_answered.wait(timeout)
        with self._lock:
            self._is_given_up = not self._is_answered.is_set()
            if self._is_given_up:
                state = "has begun with it, so its changes may still come" if self._has_begun else "is busy"
                raise NoAnswer(
                    f"The flow has not answered within {timeout:g} s: it {state}.", has_begun=self._has_begun
                )
        error, self._error = self._error, None  # with its traceback, it would refer to itself
        if error is not None:
            raise error
        return self._value
