"""Waits until another process or thread makes a condition true."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def poll_until(condition: Callable[[], T], timeout: float = 30.0, interval: float = 0.005) -> T:
    """Call `condition` repeatedly, and return its first result that is true.

    Use it where there is no event to wait for: until a file exists, or a process has exited.

    Args:
        condition: The function to call.
        timeout: Maximum of seconds to wait; it bounds a hanging test and measures nothing.
        interval: Seconds between two calls.

    Raises:
        TimeoutError: `condition` was never true; the message has its last result.

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
