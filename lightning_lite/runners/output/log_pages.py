"""Pages of the logs of a run: lines before or after a place, of several works in the order of their times.

    log of root.a     ────────────┤ 5120 ├──────────▶        a cursor names a byte of each log; a page begins
    log of root.b     ──────┤ 310 ├─────────────────▶        at one cursor and ends at another

A page reads only the parts of the logs that it shows, so logs of any size take little time and memory.
"""

from __future__ import annotations

import json
import os
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Collection, Iterator, Mapping
from heapq import merge
from itertools import islice
from typing import NamedTuple

from lightning_lite.colour_codes import Span, read_colours
from lightning_lite.harmless_text import harmless, one_line
from lightning_lite.regular_files import check_regular, open_regular
from lightning_lite.runners.output.line_times import LogTimes
from lightning_lite.runners.output.log_reader import describe_zeros, list_logs

#: A line that fills a whole block of this many bytes is cut at the end of the block.
BLOCK = 64 * 1024

#: Bytes that are read at first; more if a line is longer.
_FIRST_READ = 8 * 1024

#: Maximum of bytes of the lines of a page, if it has more than one.
_PAGE_SIZE = 1024 * 1024

#: Maximum of bytes of a cursor.
_CURSOR_LIMIT = 1024 * 1024

#: Bytes of a character in UTF-8, at most.
_CHARACTER = 4

#: Bytes before a place that decide whether a line is cut there.
CONTEXT = BLOCK + _CHARACTER


class PageLine(NamedTuple):
    """One line of a page, or a part of a very long one.

    Attributes:
        time: When it began to arrive, in seconds since 1970; `None` if that is unknown.
        work: Name of the work; `root` for the flow.
        text: The line, without its end and without control characters.
        colours: The parts of it that have a colour or another style.
        place: Its first byte in the log.
    """

    time: float | None
    work: str
    text: str
    colours: list[Span]
    place: int


class LogState(NamedTuple):
    """One log, as it was when a page was read.

    Attributes:
        name: Name of the work; `root` for the flow.
        size: Its bytes.
        trouble: Why it can't be read; "" if it can.
    """

    name: str
    size: int
    trouble: str


class LogPage(NamedTuple):
    """Lines of the logs of a run.

    Attributes:
        lines: The lines, in the order of their times.
        first: Cursor before the first line; `LogPages.before` returns the page before this one.
        last: Cursor after the last line; `LogPages.after` returns the page after this one.
        has_earlier: Whether there are lines before this page.
        has_later: Whether there are lines after this page.
        logs: The logs that were asked for, in the order of their names.
    """

    lines: list[PageLine]
    first: str
    last: str
    has_earlier: bool
    has_later: bool
    logs: list[LogState]


class LogPages:
    r"""Reads pages of the logs of one run. It keeps nothing in memory, so it can be used by several threads.

    All methods take the same last arguments: `limit`, the number of lines, at least 1; `works`, the names of
    the works whose lines are wanted, all if empty; `to_end`, whether to include a last line that has no
    newline yet, as for a run that has ended.

    Args:
        folder: Folder of the run.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as run:
        ...     os.mkdir(os.path.join(run, "logs"))
        ...     with open(os.path.join(run, "logs", "root.train.log"), "w") as log:
        ...         _ = log.write("one\ntwo\nthree\n")
        ...     pages = LogPages(run)
        ...     page = pages.newest(limit=2)
        ...     earlier = pages.before(page.first, limit=2)
        >>> [line.text for line in page.lines], [line.text for line in earlier.lines], earlier.has_earlier
        (['two', 'three'], ['one'], False)
    """

    def __init__(self, folder: str) -> None:
        self._folder = os.path.join(folder, "logs")

    def newest(self, limit: int, works: Collection[str] = (), *, to_end: bool = False) -> LogPage:
        """Return the last lines.

        Raises:
            OSError: The folder of the logs can't be read.
        """
        logs = self.logs(works)
        return self._page(logs, {log.name: log.size for log in logs}, limit, 0, to_end)

    def before(
        self, cursor: str, limit: int, works: Collection[str] = (), *, to_end: bool = False
    ) -> LogPage:
        """Return the last lines before a cursor.

        Raises:
            OSError: The folder of the logs can't be read.
            ValueError: The cursor is invalid.
        """
        return self._page(self.logs(works), read_cursor(cursor), limit, 0, to_end)

    def after(self, cursor: str, limit: int, works: Collection[str] = (), *, to_end: bool = False) -> LogPage:
        """Return the first lines after a cursor; a work that the cursor does not name has begun to log since.

        Raises:
            OSError: The folder of the logs can't be read.
            ValueError: The cursor is invalid.
        """
        return self._page(self.logs(works), read_cursor(cursor), 0, limit, to_end)

    def at(self, moment: float, limit: int, works: Collection[str] = (), *, to_end: bool = False) -> LogPage:
        """Return the first lines that arrived at a moment, in seconds since 1970, or later.

        Raises:
            OSError: The folder of the logs can't be read.
        """
        logs = self.logs(works)
        return self._page(logs, self._places_at(logs, moment), 0, limit, to_end)

    def around(
        self, cursor: str, limit: int, works: Collection[str] = (), *, to_end: bool = False
    ) -> LogPage:
        """Return lines before and after a cursor, which is from a hit of a search or from a page.

        Logs that the cursor does not name are shown at the same time.

        Raises:
            OSError: The folder of the logs can't be read.
            ValueError: The cursor is invalid.
        """
        named = read_cursor(cursor)
        logs = self.logs(works)
        moments = [LogTimes(self.path(name)).at(place) for name, place in named.items()]
        known = [moment for moment in moments if moment is not None]
        places = self._places_at([log for log in logs if log.name not in named], max(known)) if known else {}
        return self._page(logs, places | named, limit // 2, limit - limit // 2, to_end)

    def logs(self, works: Collection[str] = ()) -> list[LogState]:
        """Return the logs of some works, all if there are none, in the order of their names.

        Raises:
            OSError: The folder of the logs can't be read.
        """
        return [self._state(name) for name in list_logs(self._folder) if not works or name in works]

    def path(self, work: str) -> str:
        """Return the path of the log of a work."""
        return os.path.join(self._folder, f"{work}.log")

    def _state(self, name: str) -> LogState:
        try:
            found = os.lstat(self.path(name))
            check_regular(found, self.path(name))
        except OSError as error:
            return LogState(name, 0, str(error.strerror))
        return LogState(name, found.st_size, "")

    def _places_at(self, logs: list[LogState], moment: float) -> dict[str, int]:
        places = {}
        for log in logs:
            place = LogTimes(self.path(log.name)).place_after(moment)
            places[log.name] = log.size if place is None else place
        return places

    def _page(
        self, logs: list[LogState], places: Mapping[str, int], num_before: int, num_after: int, to_end: bool
    ) -> LogPage:
        """Return the lines before and after some places.

        Args:
            logs: The logs to read.
            places: A place in each of them; the beginning of a log that is not named.
            num_before: Maximum number of lines before the places.
            num_after: Maximum number of lines after them.
            to_end: Whether to include a line without a newline.
        """
        parts = {log.name: _Part(self.path(log.name), log, places.get(log.name, 0), to_end) for log in logs}
        lines: list[PageLine] = []
        if num_before:
            earlier = merge(*(part.read_back() for part in parts.values()), key=_order, reverse=True)
            for line in _take(earlier, num_before):
                parts[line.work].first = line.begin
                lines.append(line.show())
            lines.reverse()
        has_later = bool(num_before) and any(part.last < part.end for part in parts.values())
        if num_after:
            later = merge(*(part.read_on() for part in parts.values()), key=_order)
            for line in _take(later, num_after):
                parts[line.work].last = line.end
                lines.append(line.show())
            has_later = next(later, None) is not None
        return LogPage(
            lines,
            make_cursor({name: part.first for name, part in parts.items()}),
            make_cursor({name: part.last for name, part in parts.items()}),
            any(part.first > 0 for part in parts.values()),
            has_later,
            logs,
        )


def make_cursor(places: Mapping[str, int]) -> str:
    """Return the cursor for a place in each log; a log that it does not name is at its beginning.

    Example:
        >>> read_cursor(make_cursor({"root.train": 5120}))
        {'root.train': 5120}
    """
    named = {name: place for name, place in places.items() if place}
    return urlsafe_b64encode(zlib.compress(json.dumps(named).encode())).decode()


def read_cursor(cursor: str) -> dict[str, int]:
    """Return the places of a cursor.

    Raises:
        ValueError: `make_cursor` has not made it.
    """
    try:
        expand = zlib.decompressobj()
        places = json.loads(expand.decompress(urlsafe_b64decode(cursor.encode()), _CURSOR_LIMIT))
        if all(type(place) is int and place >= 0 for place in places.values()):
            return dict(places)
    except (AttributeError, ValueError, zlib.error):  # no object; no JSON; other data
        pass
    raise ValueError(
        f"the cursor {one_line(cursor, 40)!r} is not one of a page of logs; take `first` or `last` of a "
        "page, or leave it out for the newest page."
    )


def begins_of_lines(data: bytes, base: int, low: int, high: int) -> list[int]:
    """Return where lines begin, or the parts of very long ones; the same for each way to read a log.

    A line that fills a whole block of the log, from one multiple of `BLOCK` to the next, is cut there.

    Args:
        data: The bytes of the log from `base` to `high`.
        base: 0, or at least `CONTEXT` before `low`.
        low: The first place that may be returned.
        high: The last one.
    """
    begins = [0] if base == low == 0 else []
    place = data.find(b"\n", max(0, low - 1 - base))
    while place >= 0:
        begins.append(base + place + 1)
        place = data.find(b"\n", place + 1)
    cuts = cuts_of_lines(data, base, low, high)
    return sorted({*begins, *cuts}) if cuts else begins


def cuts_of_lines(data: bytes, base: int, low: int, high: int) -> list[int]:
    """Return where very long lines are cut; the arguments are those of `begins_of_lines`."""
    cuts = []
    for block in range(-(-max(low, base + BLOCK) // BLOCK) * BLOCK, high, BLOCK):
        if data.find(b"\n", block - BLOCK - base, block - base) < 0:
            cut = _begin_of_character(data, block - base) + base
            if cut >= low:
                cuts.append(cut)
    return cuts


def read_line(path: str, begin: int, end: int) -> tuple[str, list[Span]]:
    """Return the text of a line without control characters, and its parts with a style.

    Args:
        path: The log.
        begin: First byte of the line.
        end: Place after its last byte; at most two blocks later.
    """
    try:
        with open(open_regular(path), "rb", buffering=0) as log:
            log.seek(begin)
            return _show(log.read(end - begin) or b"")
    except OSError:  # the log is gone
        return "", []


class _RawLine(NamedTuple):
    """The bytes of a line, from `begin` to `end` in its log."""

    time: float | None
    work: str
    begin: int
    end: int
    data: bytes

    def show(self) -> PageLine:
        return PageLine(self.time, self.work, *_show(self.data), self.begin)


class _Part:
    """The part of one log that is on a page.

    Args:
        path: The log.
        log: Its name and size.
        place: Where to begin; after its end, its end.
        to_end: Whether to include a line without a newline.

    Attributes:
        log: As above.
        first: Begin of the part.
        last: Its end.
        end: Where the lines end that may be shown, as far as that is known.
    """

    def __init__(self, path: str, log: LogState, place: int, to_end: bool) -> None:
        self.log = log
        self.first = self.last = min(place, log.size)
        self.end = log.size
        self._path = path
        self._to_end = to_end
        self._times = LogTimes(path)

    def read_back(self) -> Iterator[_RawLine]:
        """Yield the lines before the part, the last one first; excludes an end that is not to be shown."""
        end = self.first
        is_whole = self._to_end or end < self.log.size
        size = _FIRST_READ
        while end:
            low = max(0, end - size)
            base, data = self._read(low, end)
            if base + len(data) < end:
                return  # the log was truncated, or it is gone
            begins = begins_of_lines(data, base, low, end)
            size = min(2 * size, 4 * BLOCK)
            if not is_whole and begins:
                is_whole = True
                end = self.first = self.last = self.end = begins.pop()
            elif not is_whole and not low:
                self.first = self.last = self.end = 0
                return
            if is_whole:
                for begin in reversed(begins):
                    if begin < end:
                        yield self._line(begin, end, data[begin - base : end - base])
                        end = begin

    def read_on(self) -> Iterator[_RawLine]:
        """Yield the lines after the part."""
        begin = self.last
        size = _FIRST_READ
        while begin < self.log.size:
            high = min(self.log.size, begin + size)
            base, data = self._read(begin, high)
            if base + len(data) < high:
                return
            for end in begins_of_lines(data, base, begin + 1, high):
                yield self._line(begin, end, data[begin - base : end - base])
                begin = end
            if high == self.log.size:
                if begin < high and self._to_end:
                    yield self._line(begin, high, data[begin - base :])
                return
            size = min(2 * size, 4 * BLOCK)

    def _line(self, begin: int, end: int, data: bytes) -> _RawLine:
        return _RawLine(self._times.at(begin), self.log.name, begin, end, data)

    def _read(self, low: int, high: int) -> tuple[int, bytes]:
        """Return the bytes that `begins_of_lines` needs for `low` and `high`, and the place of the first."""
        base = max(0, low - CONTEXT)
        try:
            with open(open_regular(self._path), "rb", buffering=0) as log:
                log.seek(base)
                return base, log.read(high - base) or b""
        except OSError:
            return base, b""


def _show(data: bytes) -> tuple[str, list[Span]]:
    return read_colours(harmless(describe_zeros(data).replace("\r", r"\r"), colours=True))


def _take(lines: Iterator[_RawLine], limit: int) -> Iterator[_RawLine]:
    """Yield the first lines, fewer if they are long."""
    size = 0
    for line in islice(lines, limit):
        yield line
        size += len(line.data)
        if size > _PAGE_SIZE:
            return


def _order(line: _RawLine) -> tuple[float, str]:
    return line.time or 0.0, line.work


def _begin_of_character(data: bytes, place: int) -> int:
    """Return where the UTF-8 character begins that goes over a place; the place itself if there is none."""
    for begin in range(place, max(0, place - _CHARACTER), -1):
        if data[begin] & 0xC0 != 0x80:
            return begin
    return place
