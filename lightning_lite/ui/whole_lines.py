"""Keeps lines whole that the flow and the display of works print to the same terminal, pipe or file.

`print("step", 3)` of the flow writes several pieces, and a long line of a work is written in parts. Another
thread could print between two of them.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Self, TextIO

#: Characters of a line from which on its beginning is written before its end comes, as by a full buffer.
_LONGEST = 8192

#: Seconds that a line of a work waits for the end of a line whose beginning was written.
_LONGEST_WAIT = 0.05

#: Seconds that `close` waits for a thread that is writing.
_PATIENCE = 1.0


class WholeLines:
    r"""Buffers the output to a stream until the end of the line, and lets other threads print lines.

    It replaces the methods `write` and `flush` of the stream object. So it also sees the output of code that
    keeps a reference to the stream, for example a handler of `logging`.

    Args:
        stream: The stream.
        lock: A re-entrant lock that protects the output; `None` for one of its own.

    Attributes:
        stream: As above.
        record: Called with the output of the flow, before it is written; in any thread and signal handler.

    Example:
        >>> stream = io.TextIOWrapper(io.BytesIO())
        >>> lines = WholeLines(stream)
        >>> print("flow", end="", file=stream)
        >>> lines.write_lines("a work\n")
        >>> print(" goes on", file=stream)
        >>> lines.close()
        >>> stream.flush()
        >>> stream.buffer.getvalue()
        b'a work\nflow goes on\n'
    """

    def __init__(self, stream: io.TextIOWrapper, lock: threading.RLock | None = None) -> None:
        self.stream = stream
        self.record: Callable[[str], None] | None = None
        # Re-entrant: a signal handler or a finaliser may print while this thread prints. `with` enters the
        # lock and not its condition, whose `__enter__` is Python code: an exception that a signal handler
        # raises in there would keep the lock forever.
        self._lock = threading.RLock() if lock is None else lock
        self._changed = threading.Condition(self._lock)
        self._text = ""  # printed by the flow, and not written yet
        self._is_in_line = False  # the beginning of a line was written
        self._writer = 0  # the thread that has written the beginning of a line of a work, or 0
        self._next_writer = 0  # the thread that waits for the end of a line of the flow, or 0
        self._is_open = True
        self._pid = os.getpid()
        self._write, self._flush = stream.write, stream.flush
        for name in ("write", "flush"):
            setattr(stream, name, getattr(self, name))

    @classmethod
    def of(cls, stream: TextIO | None) -> Self | None:
        """Return an object for `stream`; `None` for an object of the user or of a notebook, or no stream."""
        return cls(stream) if isinstance(stream, io.TextIOWrapper) and not stream.closed else None

    def write(self, text: str) -> int:
        """Write the lines that are complete with `text`, and return its number of characters."""
        if not self._is_active or not isinstance(text, str):
            return self._write(text)
        with self._lock:
            self._text += text
            if self._may_write(_LONGEST):
                self._write_complete()
        return len(text)

    def flush(self) -> None:
        """Write the line that is not complete yet, and flush the stream."""
        if self._is_active:
            with self._lock:
                if self._may_write():
                    self._write_up_to(len(self._text))
        self._flush()

    def write_lines(self, lines: str) -> None:
        """Write lines of a work, and flush the stream; ends a line of the flow whose beginning was written.

        The last line may be a part. Until the same thread has written its end, or until `give_up_line`, other
        threads write nothing: their output is buffered, and they wait when the buffer is full.
        """
        if not self._is_active:
            self._write(lines)
            self._flush()
            return
        with self._lock:
            if not self._writer:
                self._next_writer = threading.get_ident()
                self._changed.wait_for(lambda: self._writer or not self._is_in_line, _LONGEST_WAIT)
                self._next_writer = 0
                if self._is_in_line:
                    lines = f"\n{lines}"
            self._is_in_line = not lines.endswith("\n")
            self._writer = threading.get_ident() if self._is_in_line else 0
            self._send(lines)
            if not self._writer:
                self._write_complete()
                self._changed.notify_all()
            self._flush()

    def give_up_line(self) -> None:
        """Let other threads write, even if the end of a line of a work was not written."""
        if self._writer:
            with self._lock:
                self._writer = 0
                self._changed.notify_all()

    def write_beginning(self) -> None:
        """Write the line that is not complete yet, unless the end of a line of a work is to come."""
        with self._lock:
            if not self._writer:
                self._write_up_to(len(self._text))

    def close(self) -> None:
        """Restore the stream, and write the line that is not complete yet."""
        for name in ("write", "flush"):
            if vars(self.stream).get(name) == getattr(self, name):  # other code may have replaced them since
                delattr(self.stream, name)
        # If another thread holds the lock for long, the stream blocks, and nothing can be written.
        if self._lock.acquire(timeout=_PATIENCE):
            try:
                self.give_up_line()
                with suppress(OSError, ValueError):  # its reader is gone; it was closed
                    self.write_beginning()
            finally:
                self._lock.release()
        self._is_open = False

    @property
    def _is_active(self) -> bool:
        """False in a forked process, too: there, a thread that holds the lock may not exist."""
        return self._is_open and os.getpid() == self._pid

    def _may_write(self, size: int = 0) -> bool:
        """Wait for the end of a line of a work, or return as long as less than `size` characters wait.

        Returns:
            Whether no line of a work has begun.
        """
        # A finaliser that runs in the thread of the work's line and prints there would wait for itself.
        if self._writer and self._writer != threading.get_ident():
            self._changed.wait_for(lambda: not self._writer or len(self._text) < size)
        return not self._writer

    def _write_complete(self) -> None:
        """Write all lines that are complete, and parts that the stream itself would not buffer."""
        text = self._text
        size = text.rfind("\n") + 1
        # An unbuffered stream shows each piece at once, and a carriage return begins a progress bar.
        if (
            "\r" in text
            or len(text) - size >= _LONGEST
            or self.stream.write_through
            or (self.stream.line_buffering and size)
        ):
            size = len(text)
        self._write_up_to(size)

    def _write_up_to(self, size: int) -> None:
        text, self._text = self._text[:size], self._text[size:]
        if text:
            self._is_in_line = not text.endswith("\n")
            if self.record is not None:
                self.record(text)
            self._send(text)
            if not self._is_in_line and self._next_writer:
                # Else this thread could begin the next line before the other one has the lock.
                self._writer, self._next_writer = self._next_writer, 0
                self._changed.notify_all()

    def _send(self, text: str) -> None:
        self._write(text)
