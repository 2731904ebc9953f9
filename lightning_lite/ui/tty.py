"""Writes to a terminal without blocking other threads."""

from __future__ import annotations

import os
import select
from typing import Self, TextIO


class Tty:
    """The terminal behind a stream, opened once more: only for us does writing there not block.

    Args:
        path: Device of the terminal.

    Raises:
        OSError: It can't be opened.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._woken, self._waker = os.pipe()
        self._is_closed = False

    @classmethod
    def of(cls, stream: TextIO) -> Self | None:
        """Return the terminal that `stream` writes to; `None` if that is something else, or out of reach."""
        try:
            return cls(os.ttyname(stream.fileno()))
        except (OSError, ValueError, AttributeError):  # no terminal, a closed stream, a class of the user's
            return None

    @property
    def size(self) -> os.terminal_size:
        """Columns and lines as of now."""
        return os.get_terminal_size(self._fd)

    @property
    def is_ours(self) -> bool:
        """Whether this program runs in the foreground of it."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # it controls no processes, so there is no background
            return True

    @property
    def is_ready(self) -> bool:
        """Whether it takes something now."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))

    def write(self, data: bytes) -> None:
        """Write all of `data`, however long that takes; `interrupt` and exceptions of signals cut it.

        Raises:
            OSError: The terminal is gone.
        """
        left = memoryview(data)
        while left and not self._is_closed:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                self._wait()

    def interrupt(self) -> None:
        """Let a `write` that is under way in another thread return, and write nothing from now on."""
        if not self._is_closed:
            self._is_closed = True
            os.write(self._waker, b"!")

    def close(self) -> None:
        """Give back what it holds, once."""
        self._is_closed = True
        for fd in (self._fd, self._woken, self._waker):
            os.close(fd)

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.register(self._woken, select.POLLIN)
        poll.poll()
