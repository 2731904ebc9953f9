"""A signal for the main thread while it is within a function."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from harness import DEADLINE

from lightning_lite.testing import poll_until


@contextmanager
def ctrl_c_within(*functions: Callable[..., Any]) -> Iterator[None]:
    """Send SIGINT to the main thread as soon as it is within all these functions, which the block calls."""
    main = threading.main_thread().ident
    assert main is not None
    codes = {function.__code__ for function in functions}

    def is_within() -> bool:
        left, frame = set(codes), sys._current_frames().get(main)
        while frame is not None:
            left.discard(frame.f_code)
            frame = frame.f_back
        return not left

    def send() -> None:
        poll_until(is_within, DEADLINE)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        thread.join()
