"""Searches whole logs for a text or a regular expression, for a limited time, and continues where it stopped.

Some regular expressions take exponential time, and Python can't interrupt one. So they are run in a process
of its own, which is killed if it does not answer. The logs are read, not mapped into memory: a mapped file
that another program truncates would end this process.
"""

from __future__ import annotations

import faulthandler
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Collection, Iterator
from io import FileIO
from itertools import pairwise
from time import monotonic
from typing import Any, NamedTuple

from lightning_lite.colour_codes import Span, without_colours
from lightning_lite.harmless_text import one_line
from lightning_lite.regular_files import open_regular
from lightning_lite.runners.output.line_times import LogTimes
from lightning_lite.runners.output.log_pages import (
    BLOCK,
    CONTEXT,
    LogPages,
    begins_of_lines,
    cuts_of_lines,
    make_cursor,
    read_cursor,
    read_line,
)

#: Seconds after which an answer says how far it has searched.
_SECONDS = 0.25

#: Seconds after which the process of a regular expression is killed.
_PATIENCE = 1.5

#: Bytes of a log between two looks at the clock.
_CHUNK = 8 * BLOCK

#: Maximum number of characters of a query.
_LONGEST_QUERY = 1000


class LogQuery(NamedTuple):
    """A text or pattern to search for.

    Attributes:
        text: A text, or a regular expression of Python's `re` that is applied to each line.
        is_regex: Whether it is a regular expression.
        match_case: Whether upper and lower case are different.
    """

    text: str
    is_regex: bool = False
    match_case: bool = False


class Hit(NamedTuple):
    """A line that was found, or a part of a very long one.

    Attributes:
        time: When it arrived, in seconds since 1970; `None` if that is unknown.
        work: Name of the work; `root` for the flow.
        text: The line, without its end and without control characters.
        colours: The parts of it that have a colour or another style.
        place: Its first byte in the log.
        cursor: For `LogPages.around`.
    """

    time: float | None
    work: str
    text: str
    colours: list[Span]
    place: int
    cursor: str


class SearchResult(NamedTuple):
    """The result of one search.

    Attributes:
        hits: The lines, in the order of their times.
        looked: Number of bytes that are searched, with those before the cursor.
        size: Number of bytes of all logs.
        next: Cursor at which to continue, or `None` if all is searched.
    """

    hits: list[Hit]
    looked: int
    size: int
    next: str | None


class _Log(NamedTuple):
    """A log that is searched from `place` to `size`."""

    path: str
    place: int
    size: int


class _Step(NamedTuple):
    """A part of a log was searched up to `place`; `lines` are start and end of the lines that were found."""

    log: int
    place: int
    lines: list[tuple[int, int]]


#: Returns whether a line matches.
_Matcher = Callable[[str], bool]


def search_logs(
    pages: LogPages,
    query: LogQuery,
    limit: int,
    cursor: str | None = None,
    works: Collection[str] = (),
) -> SearchResult:
    r"""Search the logs of a run, one log after the other, for about a quarter of a second.

    Args:
        pages: The logs.
        query: The text or pattern to search for.
        limit: Maximum number of hits, at least 1.
        cursor: `next` of an earlier result, to continue there, or `None`.
        works: Names of the works whose logs are searched; all if empty.

    Raises:
        OSError: The folder of the logs can't be read, or no process can be started.
        ValueError: The text is empty or too long, the regular expression is invalid or takes too long, or the
            cursor is invalid.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as run:
        ...     os.mkdir(os.path.join(run, "logs"))
        ...     with open(os.path.join(run, "logs", "root.train.log"), "w") as log:
        ...         _ = log.write("epoch 1\nepoch 2\ndone\n")
        ...     result = search_logs(LogPages(run), LogQuery(r"epoch \d", is_regex=True), limit=10)
        >>> [hit.text for hit in result.hits], result.next
        (['epoch 1', 'epoch 2'], None)
    """
    if not 0 < len(query.text) <= _LONGEST_QUERY:
        raise ValueError(
            f"a search needs a text of 1 to {_LONGEST_QUERY} characters, got {len(query.text)}; change it."
        )
    places = read_cursor(cursor) if cursor is not None else {}
    states = pages.logs(works)
    logs = [
        _Log(pages.path(state.name), min(places.get(state.name, 0), state.size), state.size)
        for state in states
    ]
    reached = [log.place for log in logs]
    hits = []
    for step in (_scan_in_process if query.is_regex else _scan_for_text)(logs, query, limit):
        reached[step.log] = step.place
        name = states[step.log].name
        times = LogTimes(pages.path(name))
        for begin, end in step.lines:
            line = read_line(pages.path(name), begin, end)
            cursor = make_cursor({name: begin})
            hits.append(Hit(times.at(begin), name, *line, begin, cursor))
    hits.sort(key=lambda hit: (hit.time or 0.0, hit.work, hit.place))
    is_done = all(place >= log.size for place, log in zip(reached, logs, strict=True))
    following = make_cursor({state.name: place for state, place in zip(states, reached, strict=True)})
    size = sum(log.size for log in logs)
    return SearchResult(hits, sum(reached), size, None if is_done else following)


def main() -> None:
    """Search with a regular expression, as the program of a process; request and answers are JSON."""
    # If the process that asks is killed, it can't end this one; a thread of C is not stopped by `re`.
    with open(os.devnull, "w") as nowhere:
        faulthandler.dump_traceback_later(2 * _PATIENCE, exit=True, file=nowhere)
        _search_for(json.load(sys.stdin))


def _search_for(request: dict[str, Any]) -> None:
    query = LogQuery(*request["query"])
    try:
        pattern = re.compile(query.text, 0 if query.match_case else re.IGNORECASE)
    except (re.error, RecursionError, OverflowError) as error:
        _answer({"error": str(error)})
        return
    logs = [_Log(*log) for log in request["logs"]]
    for step in _scan(logs, lambda line: pattern.search(line) is not None, None, request["limit"]):
        _answer(step)


def _answer(value: object) -> None:
    sys.stdout.write(json.dumps(value) + "\n")
    sys.stdout.flush()


def _scan_for_text(logs: list[_Log], query: LogQuery, limit: int) -> Iterator[_Step]:
    if query.match_case:
        return _scan(logs, lambda line: query.text in line, query.text, limit)
    text = query.text.casefold()
    return _scan(logs, lambda line: text in line.casefold(), text, limit)


def _scan_in_process(logs: list[_Log], query: LogQuery, limit: int) -> Iterator[_Step]:
    """Let another process search.

    Raises:
        ValueError: The regular expression is invalid, or takes too long.
    """
    request = json.dumps({"query": query, "logs": logs, "limit": limit})
    # Isolated: neither the environment nor the working directory may change its imports.
    program = f"import sys; sys.path.append(sys.argv[1]); from {__name__} import main; main()"
    folder = __file__
    for _ in __name__.split("."):
        folder = os.path.dirname(folder)
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", program, folder],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
    )
    with process:
        try:
            output, _ = process.communicate(request, _PATIENCE)
            is_late = False
        except subprocess.TimeoutExpired:
            process.kill()
            output, _ = process.communicate()
            is_late = True
    shown = one_line(query.text, 80)
    for line in output.splitlines(keepends=True):
        if not line.endswith("\n"):
            break  # the process was killed while it wrote
        answer = json.loads(line)
        if isinstance(answer, dict):
            raise ValueError(f"the regular expression {shown!r} is invalid: {answer['error']}; correct it.")
        number, place, lines = answer
        yield _Step(number, place, [(begin, end) for begin, end in lines])
    if is_late and not output:
        raise ValueError(
            f"the regular expression {shown!r} takes too long: more than {_PATIENCE:g} s for a few lines; "
            "avoid a repetition within a repetition, such as (a+)+, or search for a text."
        )


def _scan(logs: list[_Log], matches: _Matcher, text: str | None, limit: int) -> Iterator[_Step]:
    """Search logs until the time is over.

    Args:
        logs: The logs.
        matches: Returns whether a line matches.
        text: A text that each matching line contains, or `None` if that is unknown.
        limit: Maximum number of lines that are found.
    """
    deadline = monotonic() + _SECONDS
    for number, log in enumerate(logs):
        if log.place >= log.size:
            continue
        try:
            fd = open_regular(log.path)
        except OSError:
            yield _Step(number, log.size, [])  # a page of the logs says why
            continue
        with open(fd, "rb", buffering=0) as file:
            place = log.place
            while place < log.size:
                place, lines = _scan_chunk(file, place, log.size, matches, text, limit)
                limit -= len(lines)
                yield _Step(number, place, lines)
                if limit <= 0 or monotonic() > deadline:
                    return


def _scan_chunk(
    file: FileIO, place: int, size: int, matches: _Matcher, text: str | None, limit: int
) -> tuple[int, list[tuple[int, int]]]:
    """Search some lines of a log; return how far, and start and end of each line that matches."""
    base = max(0, place - CONTEXT)
    file.seek(base)
    data = file.read(min(place + _CHUNK, size) - base) or b""
    high = base + len(data)
    if high <= place:
        return size, []  # the log was truncated
    last = high if high == size else _end_of_lines(data, base, place, high)
    overlap = len(text.encode()) - 1 if text is not None else 0
    if text is not None and not matches(_decode(data[place - base : last - base + overlap])):
        return last, []
    found = []
    begins = [place, *begins_of_lines(data, base, place + 1, last)]
    if begins[-1] < last:
        begins.append(last)
    if cuts_of_lines(data, base, place + 1, last):
        lines = []
        for begin, end in pairwise(begins):
            # A match may be on both sides of the cut.
            more = overlap if data[end - base - 1 : end - base] != b"\n" else 0
            lines.append(_decode(data[begin - base : end - base + more]).removesuffix("\n"))
    else:
        lines = _decode(data[place - base : last - base]).removesuffix("\n").split("\n")
    for line, begin, end in zip(lines, begins, begins[1:], strict=False):
        if matches(line):
            found.append((begin, end))
            if len(found) == limit:
                return end, found
    return last, found


def _end_of_lines(data: bytes, base: int, place: int, high: int) -> int:
    """Return the last place before `high` at which a line begins, or a part of a very long one."""
    newline = base + data.rfind(b"\n")
    if newline >= max(place, high - BLOCK):
        return newline + 1
    # The parts are shorter than two blocks.
    return begins_of_lines(data, base, max(place + 1, high - 3 * BLOCK), high)[-1]


def _decode(data: bytes) -> str:
    return without_colours(data.decode("utf-8", "backslashreplace"))
