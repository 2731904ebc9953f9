"""Writes the log file of one work: its output without control characters."""

from __future__ import annotations

import os
from collections.abc import Callable

from lightning_lite.runners.output.display_queue import Piece
from lightning_lite.runners.output.log_index import TimesWriter
from lightning_lite.text import HarmlessStream

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW

#: Bytes at the end of a log in which its last lines are looked for.
_TAIL_SIZE = 64 * 1024


class WorkLog:
    """Writes the output of a work to a file, and returns the lines that are complete.

    If the log can't be written, flow and work continue: the lines are shown from memory, and when the log
    can be written again, it notes how much is missing.

    Args:
        work: Name of the work.
        path: The file; appended to if it exists.
        complain: Called with the error if the file can't be written.
    """

    def __init__(self, work: str, path: str, complain: Callable[[OSError], None]) -> None:
        self._work = work
        self._path = path
        self._complain = complain
        self._stream = HarmlessStream()
        self._times = TimesWriter(path)
        self._fd: int | None = None
        self._missing = 0  # bytes that could not be written at the end of the file
        self.rest = ""  # the line that has no newline yet
        self._is_rest_logged = True
        self._was_cut = False  # the line was returned before its newline came

    def append(self, data: bytes) -> Piece | None:
        """Write what the work printed; return the lines that are complete now."""
        return self._append(self._stream.feed(data))

    def cut(self) -> Piece | None:
        """Return the line that has no newline yet; later output starts a new line."""
        if not self.rest:
            return None
        rest, self.rest, self._was_cut = self.rest, "", True
        return self._piece(rest, self._is_rest_logged)

    def close(self) -> Piece | None:
        """End the last line and close the file; return the line if it was not returned before."""
        piece = self._append(self._stream.finish())
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None
        self._times.close()
        return piece

    def tail(self, nlines: int) -> str:
        """Return the last lines of the file, or nothing if there is none."""
        return read_tail(self._path, nlines)

    def _append(self, text: str) -> Piece | None:
        if not text:
            return None
        is_logged = self._write(text.encode())
        if self._was_cut:
            text, self._was_cut = text.removeprefix("\n"), False
        lines, newline, rest = (self.rest + text).rpartition("\n")
        if not newline:
            self._is_rest_logged = is_logged and (self._is_rest_logged or not self.rest)
            self.rest = rest
            return None
        piece = self._piece(lines + newline, is_logged and self._is_rest_logged, len(rest.encode()))
        self.rest, self._is_rest_logged = rest, is_logged
        return piece

    def _piece(self, lines: str, is_logged: bool, nbytes_after: int = 0) -> Piece:
        if not is_logged or self._fd is None:
            return Piece(self._work, self._path, 0, 0, lines)
        end = os.lseek(self._fd, 0, os.SEEK_CUR) - nbytes_after
        return Piece(self._work, self._path, end - len(lines.encode()), end)

    def _write(self, data: bytes) -> bool:
        """Append `data` to the file; return whether all of it was written."""
        left = memoryview(data)
        try:
            if self._fd is None:
                self._fd = os.open(self._path, _APPEND, 0o600)
            if self._missing:
                os.write(self._fd, f"\n[{self._missing} bytes could not be written here]\n".encode())
                self._missing = 0
            while left:
                left = left[os.write(self._fd, left) :]
            self._times.note(os.lseek(self._fd, 0, os.SEEK_CUR) - len(data))
        except OSError as error:
            self._missing += len(left)
            self._complain(error)
            return False
        return True


def read_tail(path: str, nlines: int) -> str:
    """Return the last lines of a log, or nothing if there is none.

    Args:
        path: The file.
        nlines: How many lines; of very long ones, it may be fewer.
    """
    try:
        with open(path, "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _TAIL_SIZE))
            text = log.read().decode("utf-8", "replace")
    except OSError:
        return ""  # the work has printed nothing, or the log could not be written
    return "".join(text.splitlines(keepends=True)[-nlines:])
