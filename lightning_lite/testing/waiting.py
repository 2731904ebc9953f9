"""Waits for a condition that another process or thread fulfils."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll_until(condition: Callable[[], T], timeout: float = 30.0, interval: float = 0.005) -> T:
    """Return what `condition` returns as soon as that is true.

    For what gives no event to wait on: a file that appears, a process that goes.

    Args:
        condition: Asked again and again.
        timeout: Seconds; a bound on hanging, not on speed.
        interval: Seconds between two questions.

    Raises:
        TimeoutError: The time is over; the message has the last answer.

    Example:
        >>> items = iter([0, 0, 7])
        >>> poll_until(lambda: next(items))
        7
    """
    deadline = time.monotonic() + timeout
    pause = threading.Event()
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"still {answer!r} after {timeout:g} s")
        pause.wait(interval)
    return answer
