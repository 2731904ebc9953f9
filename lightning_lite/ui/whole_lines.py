"""Keeps lines whole that the flow and the display of works print to the same pipe or file.

`print("step", 3)` of the flow writes several pieces. Without a terminal, another thread could print a line of
a work between two of them. A terminal with a footer needs none of this: the footer buffers lines itself.
"""

from __future__ import annotations

import io
import threading
from contextlib import suppress
from typing import Self, TextIO

from lightning_lite.ui.stream_interceptor import StreamInterceptor

#: Characters of a line from which on its beginning is written before its end comes, as by a full buffer.
_LONGEST = 8192

#: Seconds that a line of a work waits for the end of a line whose beginning was written.
_LONGEST_WAIT = 0.05

#: Seconds that `close` waits for a thread that is writing.
_PATIENCE = 1.0


class WholeLines(StreamInterceptor):
    r"""Buffers what is printed to a stream until the end of the line, and lets other threads print lines.

    Args:
        stream: The stream.

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

    stream: io.TextIOWrapper

    def __init__(self, stream: io.TextIOWrapper) -> None:
        # Re-entrant: a signal handler may print while this thread prints.
        self._lock = threading.Condition(threading.RLock())
        self._text = ""  # the beginning of a line, not written yet
        self._is_in_line = False  # the beginning of a line was written
        super().__init__(stream)

    @classmethod
    def of(cls, stream: TextIO | None) -> Self | None:
        """Return an object for `stream`; `None` for an object of the user or of a notebook, or no stream."""
        return cls(stream) if isinstance(stream, io.TextIOWrapper) and not stream.closed else None

    def write(self, text: str) -> int:
        """Write the lines that are complete with `text`."""
        if self.is_forked:
            return self._write(text)
        with self._lock:
            text_so_far = self._text + text
            size = len(text_so_far)
            # An unbuffered stream shows each piece at once, and a carriage return begins a progress bar.
            if "\r" not in text and size < _LONGEST and not self.stream.write_through:
                size = text_so_far.rfind("\n") + 1
            self._text = text_so_far[size:]
            if size:
                self._write(text_so_far[:size])
                self._is_in_line = text_so_far[size - 1] != "\n"
                if not self._is_in_line:
                    self._lock.notify_all()
        return len(text)

    def flush(self) -> None:
        """Write the line that is not complete yet, and flush the stream."""
        if not self.is_forked:
            with self._lock:
                self._write_beginning()
        self._flush()

    def write_lines(self, lines: str) -> None:
        """Write whole lines, and flush the stream; ends a line whose beginning was written."""
        with self._lock:
            self._lock.wait_for(lambda: not self._is_in_line, _LONGEST_WAIT)
            self._write(f"\n{lines}" if self._is_in_line else lines)
            self._is_in_line = False
            self._flush()

    def close(self) -> None:
        """Restore the stream, and write the line that is not complete yet."""
        self.restore()
        # If another thread holds the lock for long, the stream blocks, and nothing can be written.
        if self._lock.acquire(timeout=_PATIENCE):
            try:
                with suppress(OSError, ValueError):  # its reader is gone; it was closed
                    self._write_beginning()
            finally:
                self._lock.release()

    def _write_beginning(self) -> None:
        text, self._text = self._text, ""
        if text:
            self._is_in_line = True
            self._write(text)
