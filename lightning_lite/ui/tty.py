"""Writes to a terminal without blocking other threads."""

from __future__ import annotations

import os
import select
from typing import Self, TextIO


class Tty:
    """A terminal, opened again in non-blocking mode; the mode of the user's streams is not changed.

    Args:
        path: Device of the terminal.

    Raises:
        OSError: The device can't be opened.
    """

    def __init__(self, path: str) -> None:
        self._fd = os.open(path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self._woken, self._waker = os.pipe()
        self._is_closed = False

    @classmethod
    def of(cls, stream: TextIO) -> Self | None:
        """Return the terminal of `stream`; `None` if it is not a terminal, or if that can't be opened."""
        try:
            return cls(os.ttyname(stream.fileno()))
        except (OSError, ValueError, AttributeError):  # no terminal; a closed stream; a class of the user
            return None

    @property
    def size(self) -> os.terminal_size:
        """Present number of columns and lines."""
        return os.get_terminal_size(self._fd)

    @property
    def is_ours(self) -> bool:
        """Whether this process is in the foreground process group of the terminal."""
        try:
            return os.tcgetpgrp(self._fd) == os.getpgrp()
        except OSError:  # it is not our controlling terminal, so it has no foreground for us
            return True

    @property
    def is_ready(self) -> bool:
        """Whether a write would not block now."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        return bool(poll.poll(0))

    def write(self, data: bytes) -> None:
        """Write all of `data`; blocks until then, or until `interrupt` or the exception of a signal handler.

        Raises:
            OSError: The terminal was closed.
        """
        left = memoryview(data)
        while left and not self._is_closed:
            try:
                left = left[os.write(self._fd, left) :]
            except BlockingIOError:
                self._wait()

    def interrupt(self) -> None:
        """Make a `write` in another thread return at once, and write nothing from now on."""
        if not self._is_closed:
            self._is_closed = True
            os.write(self._waker, b"!")

    def close(self) -> None:
        """Close the file descriptors; call it once."""
        self._is_closed = True
        for fd in (self._fd, self._woken, self._waker):
            os.close(fd)

    def _wait(self) -> None:
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        poll.register(self._woken, select.POLLIN)
        poll.poll()
