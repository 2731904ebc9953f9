"""Writes the log file of a work or of the flow: its output without control characters, with its colours."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import time

from lightning_lite.harmless_text import HarmlessStream
from lightning_lite.regular_files import open_regular
from lightning_lite.runners.output.display_queue import Piece
from lightning_lite.runners.output.line_times import TimesWriter
from lightning_lite.runners.output.output_mask import OutputMask

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


class LogWriter:
    """Writes the output of a work or of the flow to a file, and returns the lines that are complete.

    A piece of output is a range of the file. If the log can't be written, flow and work continue: the lines
    are shown from memory, and when the log can be written again, it notes how much is missing.

    Args:
        work: Name of the work, or `root` for the flow.
        path: The file; appended to if it exists.
        complain: Called with the error if the file can't be written.
        clock: Returns when the appended text was printed, in seconds since 1970.
        turn: As for `TimesWriter`.

    Attributes:
        is_in_line: Whether the last line has no newline yet, and was not returned.
    """

    def __init__(
        self,
        work: str,
        path: str,
        complain: Callable[[OSError], None],
        clock: Callable[[], float] = time,
        turn: Callable[[], int] | None = None,
    ) -> None:
        self._work = work
        self._path = path
        self._complain = complain
        self._mask = OutputMask()
        self._stream = HarmlessStream()
        self._times = TimesWriter(path, clock, turn)
        self._fd: int | None = None
        self._missing = 0  # bytes that could not be written at the end of the file
        self._end = 0  # position after the last whole line
        self._num_unfinished = 0  # bytes before that: the line that has no newline yet
        self._unlogged = ""  # the same of a line that could not be written
        self._was_cut = False  # the line was returned before its newline came
        self.is_in_line = False

    def append(self, data: bytes) -> list[Piece]:
        """Write output of the work; return the lines that are complete now."""
        pieces = self._append(self._stream.feed(self._mask.feed(data)))
        self.is_in_line = bool(self._num_unfinished or self._unlogged or self._mask.can_release)
        return pieces

    def end_call(self) -> None:
        """Let the times of the lines show where the output of the next call begins."""
        self._times.separate()

    def cut(self) -> list[Piece]:
        """Return the line that has no newline yet; later output starts a new line."""
        pieces = self._append(self._stream.feed(self._mask.release()))
        self._was_cut = self._was_cut or self.is_in_line
        self.is_in_line = False
        return pieces + self._take_unfinished()

    def close(self) -> list[Piece]:
        """End the last line and close the file; return the line if it was not returned before."""
        pieces = self._append(self._stream.feed(self._mask.finish()) + self._stream.finish())
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._times.close()
        return pieces

    def _append(self, text: str) -> list[Piece]:
        if not text:
            return []
        data = text.encode()
        is_logged = self._write(data)
        if self._was_cut:
            self._was_cut = False
            text, data = text.removeprefix("\n"), data.removeprefix(b"\n")
        if not is_logged:
            return self._take_unlogged(text)
        pieces = self._take_unfinished() if self._unlogged else []
        num_after = len(data) - data.rfind(b"\n") - 1
        if num_after < len(data):
            size = self._num_unfinished + len(data) - num_after
            pieces.append(self._piece(size, self._end - num_after))
            self._num_unfinished = 0
        self._num_unfinished += num_after
        return pieces

    def _take_unlogged(self, text: str) -> list[Piece]:
        """Return the lines that are complete with a text that could not be written."""
        pieces = self._take_unfinished() if self._num_unfinished else []
        lines, newline, self._unlogged = (self._unlogged + text).rpartition("\n")
        if newline:
            pieces.append(Piece(self._work, self._path, 0, 0, lines + newline))
        return pieces

    def _take_unfinished(self) -> list[Piece]:
        """Return the line that has no newline yet."""
        num_unfinished, self._num_unfinished = self._num_unfinished, 0
        unlogged, self._unlogged = self._unlogged, ""
        if unlogged:
            return [Piece(self._work, self._path, 0, 0, unlogged)]
        return [self._piece(num_unfinished, self._end)] if num_unfinished else []

    def _piece(self, size: int, end: int) -> Piece:
        """Return the `size` bytes of the file before the position `end`."""
        return Piece(self._work, self._path, end - size, end)

    def _write(self, data: bytes) -> bool:
        """Append `data` to the file; return whether all of it was written."""
        left = memoryview(data)
        try:
            if self._fd is None:
                self._fd = open_regular(self._path, _APPEND)
            if self._missing:
                os.write(self._fd, f"\n[{self._missing} bytes could not be written here]\n".encode())
                self._missing = 0
            while left:
                left = left[os.write(self._fd, left) :]
            self._end = os.lseek(self._fd, 0, os.SEEK_CUR)
            self._times.note(self._end - len(data))
        except OSError as error:
            self._missing += len(left)
            self._complain(error)
            return False
        return True
