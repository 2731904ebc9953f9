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
from lightning_lite.main_messages import HandlerWanted

T = TypeVar("T")

#: Seconds for which a request waits for its answer.
TIME_LIMIT = 30.0


class FlowRequests:
    """The requests to the flow of one run; `ask` is callable from any other thread than the flow's.

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
        self._queue: deque[HandlerRequest] = deque()
        self._unanswered: set[HandlerRequest] = set()
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
        is_answered = Event()
        request = self.submit(handler, is_answered.set)
        is_answered.wait(timeout)
        value: T = request.end(timeout)
        return value

    def submit(self, handler: Callable[[], Any], on_answer: Callable[[], None]) -> HandlerRequest:
        """Let the thread of the flow call a function, and return at once; see `ask`.

        Args:
            handler: The function.
            on_answer: Called in another thread when `HandlerRequest.end` has an answer.

        Raises:
            AppEnding: The app is ending.
        """
        request = HandlerRequest(handler, on_answer)
        with self._lock:
            if self._is_closed:
                raise AppEnding(_ENDING)
            self._queue.append(request)
            self._unanswered = {each for each in self._unanswered if not each.has_ended} | {request}
            self.is_asked = True
        self._wake()
        return request

    def take(self) -> list[HandlerWanted]:
        """Return the requests that have arrived, in order; called in the thread of the flow."""
        with self._lock:
            self.is_asked = False
            taken = [HandlerWanted("root", request.begin, request.answer) for request in self._queue]
            self._queue.clear()
        return taken

    def close(self) -> None:
        """Refuse all requests that have no answer yet, and all later ones."""
        with self._lock:
            self._is_closed = True
            self._queue.clear()
            unanswered = list(self._unanswered)
        for request in unanswered:
            request.answer(None, AppEnding(_ENDING))


_ENDING = "The app is ending, so its flow answers no requests any more."


class HandlerRequest:
    """One request to the flow; `FlowRequests.submit` makes it.

    Args:
        handler: The function.
        on_answer: Called in another thread when there is an answer.
    """

    def __init__(self, handler: Callable[[], Any], on_answer: Callable[[], None]) -> None:
        self._handler = handler
        self._on_answer = on_answer
        self._lock = Lock()
        self._has_begun = False
        self._is_answered = False
        self._is_given_up = False
        self._value: Any = None
        self._error: Exception | None = None

    @property
    def has_ended(self) -> bool:
        """Whether there is an answer, or none is wanted any more."""
        return self._is_answered or self._is_given_up

    def begin(self) -> Callable[[], Any] | None:
        """Return the function, or `None` if nothing waits for its answer any more."""
        with self._lock:
            self._has_begun = not self.has_ended
            return self._handler if self._has_begun else None

    def answer(self, value: Any, error: Exception | None) -> None:
        """Give the answer to the thread that waits; only the first one counts."""
        with self._lock:
            if self.has_ended:
                return
            self._value, self._error, self._is_answered = value, error, True
        self._on_answer()

    def end(self, waited: float) -> Any:
        """Return the answer, or give up the request if there is none.

        Args:
            waited: For how many seconds the caller has waited.

        Raises:
            NoAnswer: There is none.
            AppEnding: The app ends before the answer.
            Exception: The function has raised it.
        """
        with self._lock:
            self._is_given_up = not self._is_answered
        if self._is_given_up:
            state = "has begun with it, so its changes may still come" if self._has_begun else "is busy"
            raise NoAnswer(
                f"The flow has not answered within {waited:g} s: it {state}.", has_begun=self._has_begun
            )
        error, self._error = self._error, None  # with its traceback, it would refer to itself
        if error is not None:
            raise error
        return self._value
