"""Reads the lines of the logs of a run from a given position, also those that are added later."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Iterator
from heapq import merge
from typing import NamedTuple

from lightning_lite.runners.output.log_index import LogTimes

_CHUNK = 64 * 1024
#: Bytes at the end of a log in which its last lines are looked for.
_TAIL_SIZE = 64 * 1024


class Line(NamedTuple):
    """One line that a work has printed.

    Attributes:
        time: When it began to arrive, in seconds since 1970; `None` if that is unknown.
        work: Name of the work.
        text: The line, without its end.
    """

    time: float | None
    work: str
    text: str


class LogReader:
    """Reads one log from a position to its end, and later what was added.

    Args:
        path: The log.
        work: Name of the work.
    """

    def __init__(self, path: str, work: str) -> None:
        self._path = path
        self._work = work
        self._place = 0
        self._times = LogTimes(path)

    def skip_to_tail(self, nlines: int) -> None:
        """Start `nlines` lines before the current end, unless the position is later already."""
        with open(self._path, "rb") as log:
            end = place = log.seek(0, os.SEEK_END)
            parts: list[bytes] = []
            num_newlines = 0
            while place > 0 and num_newlines <= nlines:
                size = min(_CHUNK, place)
                place = log.seek(place - size)
                parts.append(log.read(size))
                num_newlines += parts[-1].count(b"\n")
            data = b"".join(reversed(parts))
        if nlines == 0:
            data = b""
        tail = b"\n".join(data.removesuffix(b"\n").split(b"\n")[-nlines:])
        self._place = max(self._place, end - len(tail) - data.endswith(b"\n"))

    def skip_to_moment(self, moment: float) -> None:
        """Start with what arrived at a moment, in seconds since 1970, or later."""
        place = self._times.place_after(moment)
        self._place = max(self._place, os.path.getsize(self._path) if place is None else place)

    def read(self, *, to_end: bool) -> Iterator[Line]:
        """Yield the lines that were not yielded before.

        Args:
            to_end: Whether to include a last line without a newline.
        """
        if os.path.getsize(self._path) <= self._place:
            return
        self._times.refresh()
        with open(self._path, "rb") as log:
            log.seek(self._place)
            for line in log:
                if not line.endswith(b"\n") and not to_end:
                    return
                time = self._times.at(self._place)
                self._place += len(line)
                yield Line(time, self._work, line.decode("utf-8", "backslashreplace").rstrip("\n"))


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
    """Return the names of the works that have a log in a folder."""
    try:
        names = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted(name.removesuffix(".log") for name in names if name.endswith(".log"))


def last_line(path: str) -> str:
    """Return the last line of a log that is not blank; "" if there is none."""
    try:
        with open(path, "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - _CHUNK))
            lines = log.read().decode("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return ""
    return next((line for line in reversed(lines) if line.strip()), "")


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
