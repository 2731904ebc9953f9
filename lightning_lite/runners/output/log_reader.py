"""Reads the lines of the logs of a run from a given position, also those that are added later.

A log of any size, with lines of any size, takes little memory.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from contextlib import suppress
from errno import ENXIO
from heapq import merge
from io import BufferedReader
from typing import NamedTuple

from lightning_lite.colour_codes import without_colours
from lightning_lite.regular_files import open_folder, open_regular
from lightning_lite.runners.output.line_times import LogTimes

_CHUNK = 64 * 1024

#: Bytes of a line; a longer line is read as several.
_LONGEST_LINE = 1024 * 1024

#: Bytes at the end of a log in which its last lines are looked for.
_TAIL_SIZE = 64 * 1024


class Line(NamedTuple):
    """One line that a work has printed.

    Attributes:
        time: When it began to arrive, in seconds since 1970; `None` if that is unknown.
        work: Name of the work.
        text: The line, without its end; its colours are sequences as in `colours`.
    """

    time: float | None
    work: str
    text: str


class LogReader:
    """Reads one log from a position to its end, and later the added lines.

    Args:
        path: The log.
        work: Name of the work.
    """

    def __init__(self, path: str, work: str) -> None:
        self._path = path
        self._work = work
        self._place = 0
        self._has_failed = False
        self._times = LogTimes(path)

    def skip_to_tail(self, nlines: int) -> None:
        """Start `nlines` lines before the current end, unless the position is later already.

        Raises:
            OSError: The log can't be read.
        """
        with _open(self._path) as log:
            self._place = max(self._place, _find_tail(log, nlines))

    def skip_to_moment(self, moment: float) -> None:
        """Start with the lines that arrived at a moment, in seconds since 1970, or later.

        Raises:
            OSError: The log can't be read.
        """
        place = self._times.place_after(moment)
        self._place = max(self._place, os.lstat(self._path).st_size if place is None else place)

    def read(self, *, to_end: bool) -> Iterator[Line]:
        """Yield the lines that were not yielded before; the first time that the log can't be read, yield why.

        Args:
            to_end: Whether to include a last line without a newline.
        """
        try:
            with _open(self._path) as log:
                if os.fstat(log.fileno()).st_size > self._place:
                    self._times.refresh()
                    yield from self._read(log, to_end)
        except OSError as error:
            if not self._has_failed:
                self._has_failed = True
                yield Line(None, self._work, f"[the log can't be read: {error.strerror}]")

    def _read(self, log: BufferedReader, to_end: bool) -> Iterator[Line]:
        log.seek(self._place)
        while line := log.readline(_LONGEST_LINE):
            after = self._place + len(line)
            # The loss of power may leave zeros; works print none.
            written = line.rstrip(b"\0")
            if len(written) < len(line):
                after = _next_data(log, after)
            elif not line.endswith(b"\n"):
                if len(line) == _LONGEST_LINE:
                    written = whole_characters(line)
                    after = self._place + len(written)
                elif not to_end:
                    return
            text = describe_zeros(written, after - self._place - len(written))
            time = self._times.at(self._place)
            self._place = log.seek(after)
            yield Line(time, self._work, text)


class RunLogs:
    """The logs of one run.

    Args:
        folder: Folder of the run.
        works: Names of the works to read; if empty, all works, also later ones.
        nlines: How many lines of each log to read from its end; all if `None`.
        since: Seconds since 1970; earlier lines are not read.
    """

    def __init__(
        self, folder: str, works: Collection[str], *, nlines: int | None = None, since: float | None = None
    ) -> None:
        self._folder = os.path.join(folder, "logs")
        self._works = works
        self._readers: dict[str, LogReader] = {}
        self._open()
        for reader in self._readers.values():
            with suppress(OSError):  # the first `read` reports it
                if since is not None:
                    reader.skip_to_moment(since)
                if nlines is not None:
                    reader.skip_to_tail(nlines)

    def read(self, *, to_end: bool) -> Iterable[Line]:
        """Return the lines that were not returned before, in the order of their times.

        Args:
            to_end: Whether to include last lines without a newline.
        """
        self._open()
        lines = [reader.read(to_end=to_end) for _, reader in sorted(self._readers.items())]
        return merge(*lines, key=lambda line: line.time or 0.0)

    def _open(self) -> None:
        for work in list_logs(self._folder):
            if work not in self._readers and (not self._works or work in self._works):
                self._readers[work] = LogReader(os.path.join(self._folder, f"{work}.log"), work)


def list_logs(folder: str) -> list[str]:
    """Return the names of the works that have a log in a folder.

    Raises:
        OSError: It can't be read, or is not a folder.
    """
    try:
        folder_fd = open_folder(folder)
    except FileNotFoundError:
        return []
    try:
        names = os.listdir(folder_fd)
    finally:
        os.close(folder_fd)
    return sorted(name.removesuffix(".log") for name in names if name.endswith(".log"))


def last_line(path: str) -> str:
    """Return the last line of a log that is not blank; "" if there is none; why, if it can't be read."""
    try:
        with _open(path) as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _CHUNK))
            lines = without_colours(log.read(_CHUNK).decode("utf-8", "replace")).splitlines()
    except FileNotFoundError:
        return ""
    except OSError as error:
        return f"[the log can't be read: {error.strerror}]"
    return next((line for line in reversed(lines) if line.strip()), "")


def read_tail(path: str, nlines: int, since: float | None = None) -> str:
    """Return the last lines of a log, without colours, or nothing if there is none.

    Args:
        path: The file.
        nlines: How many lines; of very long ones, it may be fewer.
        since: Seconds since 1970; earlier lines are left out.
    """
    try:
        with _open(path) as log:
            end = log.seek(0, os.SEEK_END)
            # The times in the index are rounded to microseconds.
            begin = 0 if since is None else LogTimes(path).place_after(since - 1e-6)
            log.seek(max(end if begin is None else begin, end - _TAIL_SIZE))
            text = log.read(_TAIL_SIZE).decode("utf-8", "replace")
    except OSError:
        return ""  # the work has printed nothing, or the log could not be written
    return "".join(without_colours(text).splitlines(keepends=True)[-nlines:])


def whole_characters(data: bytes) -> bytes:
    """Return `data`, which is UTF-8, without a character that is incomplete at its end."""
    last = len(data) - 1
    while last > 0 and data[last] & 0xC0 == 0x80:
        last -= 1
    return data[:last] or data


def _open(path: str) -> BufferedReader:
    return open(open_regular(path), "rb")


def _find_tail(log: BufferedReader, nlines: int) -> int:
    """Return where the last lines of a log begin; of very long lines, the parts are counted."""
    end = place = line_end = log.seek(0, os.SEEK_END)
    if nlines == 0:
        return end
    count = 0
    while place > 0:
        size = min(_CHUNK, place)
        place = log.seek(place - size)
        data = log.read(size)
        found = size - 1 if place + size == end and data.endswith(b"\n") else size  # ends the last line
        while (found := data.rfind(b"\n", 0, found)) >= 0:
            count += 1
            line_end = place + found + 1
            if count == nlines:
                return line_end
        if line_end - place >= _LONGEST_LINE:
            count += 1
            line_end = place
            if count == nlines:
                return place
    return 0


def describe_zeros(line: bytes, num_more: int = 0) -> str:
    r"""Return the text of a line, with the number of the zero bytes before and after it.

    Args:
        line: A line, with or without its end.
        num_more: Number of zero bytes after it.

    Example:
        >>> describe_zeros(b"\0\0\0line\n")
        '[3 bytes are zero]line'
    """
    written = line.rstrip(b"\0")
    text = written.lstrip(b"\0")
    before, after = len(written) - len(text), len(line) - len(written) + num_more
    parts = (before, text.decode("utf-8", "backslashreplace").rstrip("\n"), after)
    return "".join(part if isinstance(part, str) else f"[{part} bytes are zero]" for part in parts if part)


def _next_data(log: BufferedReader, place: int) -> int:
    """Return the place of the next byte that was written: a file may have holes of any size."""
    if not hasattr(os, "SEEK_DATA"):
        return place
    fd = log.fileno()
    before = os.lseek(fd, 0, os.SEEK_CUR)
    try:
        return os.lseek(fd, place, os.SEEK_DATA)
    except OSError as error:
        return os.fstat(fd).st_size if error.errno == ENXIO else place
    finally:
        os.lseek(fd, before, os.SEEK_SET)  # the buffer of `log` relies on it
