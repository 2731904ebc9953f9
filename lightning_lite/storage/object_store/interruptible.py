"""Waits for a request so that a signal ends the wait.

The calls of `obstore` wait outside of Python, where no handler of a signal runs. So a request has a thread of
its own, and the thread that wants the answer waits for it in Python. A request that is given up continues
until the store answers or its time is over, but the process can end before.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class GivenUp(BaseException):
    """Ends a thread whose result is not wanted any more."""


class Interruption:
    """Ends the waits of all threads that have joined it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waits: set[threading.Event] = set()
        self._is_set = False

    def join(self) -> None:
        """Let this thread end with the others."""
        _of_thread.interruption = self

    def set(self) -> None:
        """End all waits of the threads, those in the future, too."""
        with self._lock:
            self._is_set = True
            for event in self._waits:
                event.set()

    def wait(self, event: threading.Event) -> None:
        """Wait for an event.

        Raises:
            GivenUp: The wait was ended.
        """
        with self._lock:
            if self._is_set:
                raise GivenUp
            self._waits.add(event)
        event.wait()
        with self._lock:
            self._waits.remove(event)
            if self._is_set:
                raise GivenUp


class _OfThread(threading.local):
    interruption: Interruption | None = None


_of_thread = _OfThread()


def interruptible(request: Callable[[], T]) -> T:
    """Return the result of a request, unless a signal or an interruption ends the wait.

    Other threads than the main one, without an interruption, get no signals and call it directly.
    """
    interruption = _of_thread.interruption
    if interruption is None and threading.current_thread() is not threading.main_thread():
        return request()
    results: list[T] = []
    errors: list[BaseException] = []
    is_over = threading.Event()

    def run() -> None:
        try:
            results.append(request())
        except BaseException as error:  # noqa: BLE001 - the waiting thread raises it
            errors.append(error)
        finally:
            is_over.set()

    thread = threading.Thread(target=run, name="lightning-lite-object-store", daemon=True)
    thread.start()
    if interruption is None:
        is_over.wait()
    else:
        interruption.wait(is_over)
    thread.join()
    if errors:
        raise errors[0]
    return results[0]
