"""The calls of a run over time: spans of attempts where they are wide enough to be seen, else bins.

    Timeline.describe   works in sight, a range, its width in pixels ─▶ one row for each work

The index of a work consists of plain sorted arrays and grows with the history. An ended call is read once.
So a description costs the pixels that are shown, not the calls that the run has made.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from math import isfinite
from typing import Any, NamedTuple

from lightning_lite.engine.history import Attempt, CallHistory, RunHistory, WorkHistory

#: Maximum number of works in one look, and of spans in one answer.
MAX_WORKS = 60
_MAX_SPANS = 6000

#: Pixels in each bin, and pixels that a span has on average in a row with spans.
_BIN_WIDTH = 3

_MIN_PIXELS, _MAX_PIXELS = 50, 8000

#: Waits whose call began after the range: this number of calls is looked at.
_MAX_QUEUE = 1000

_OUTCOMES = ("succeeded", "failed", "stopped", "restarted", "lost", "running", "pending")
_CODES = {outcome: code for code, outcome in enumerate(_OUTCOMES)}

#: Outcomes that a bin counts as failed.
_FAILED = frozenset({"failed", "lost"})


class _Span(NamedTuple):
    """One attempt; or the wait before the first one, with the attempt 0."""

    start: float
    end: float
    number: int
    attempt: int
    outcome: str


class _Spans:
    """Spans of one work, sorted by their starts.

    A work runs one call after the other, so the ends are sorted as well, unless the clock was set back. The
    searches use `_reach`, the highest end so far, which is always sorted.
    """

    def __init__(self) -> None:
        self.starts = array("d")
        self._ends = array("d")
        self._reach = array("d")
        self._numbers = array("q")
        self._attempts = array("q")
        self._outcomes = array("b")
        # Sums over all spans before the one of the same index; they have one element more.
        self._seconds = array("d", [0.0])
        self._failed = array("q", [0])
        self._calls = array("q", [0])

    def add(self, spans: list[_Span]) -> None:
        """Add spans in any order."""
        if not spans:
            return
        first = min(span.start for span in spans)
        while self.starts and self.starts[-1] > first:
            spans.append(self._pop())
        for span in sorted(spans):
            self._append(span)

    def _append(self, span: _Span) -> None:
        self.starts.append(span.start)
        self._ends.append(span.end)
        self._reach.append(max(span.end, self._reach[-1]) if self._reach else span.end)
        self._numbers.append(span.number)
        self._attempts.append(span.attempt)
        self._outcomes.append(_CODES[span.outcome])
        self._seconds.append(self._seconds[-1] + span.end - span.start)
        self._failed.append(self._failed[-1] + (span.outcome in _FAILED))
        self._calls.append(self._calls[-1] + (span.attempt == 1))

    def _pop(self) -> _Span:
        last = self[len(self.starts) - 1]
        columns = (self.starts, self._ends, self._reach, self._numbers, self._attempts, self._outcomes)
        for column in (*columns, self._seconds, self._failed, self._calls):
            column.pop()
        return last

    def __getitem__(self, index: int) -> _Span:
        outcome = _OUTCOMES[self._outcomes[index]]
        return _Span(
            self.starts[index], self._ends[index], self._numbers[index], self._attempts[index], outcome
        )

    def within(self, start: float, end: float) -> range:
        """Return the indices of the spans that may overlap a range; with a clock set back, some more."""
        return range(bisect_left(self._reach, start), bisect_right(self.starts, end))

    def count_calls(self, found: range) -> int:
        """Return the number of calls to which spans belong."""
        if not found:
            return 0
        later = self._attempts[found.start] > 1
        return self._calls[found.stop] - self._calls[found.start] + later

    def bins(self, edges: Sequence[float]) -> Iterator[list[float]]:
        """Yield for each bin the number of spans that begin, of failures that end, and the seconds in it.

        Args:
            edges: The limits of the bins, sorted; the last bin includes its upper limit.
        """
        starts, ends, reach = self.starts, self._ends, self._reach
        seconds, failed = self._seconds, self._failed
        begun = bisect_left(starts, edges[0])
        gone = failed[bisect_left(reach, edges[0])]
        busy = self._seconds_until(edges[0], begun)
        last = len(edges) - 1
        for position in range(1, len(edges)):
            edge = edges[position]
            find = bisect_right if position == last else bisect_left
            begun_by = find(starts, edge, begun)
            # Of the spans that began before, only the last one can continue, unless the clock was set back.
            if begun_by and reach[begun_by - 1] >= edge:
                gone_by = failed[find(reach, edge, 0, begun_by)]
                busy_by = seconds[begun_by] - max(0.0, ends[begun_by - 1] - edge)
            else:
                gone_by, busy_by = failed[begun_by], seconds[begun_by]
            yield [begun_by - begun, gone_by - gone, max(0.0, busy_by - busy)]
            begun, gone, busy = begun_by, gone_by, busy_by

    def _seconds_until(self, moment: float, begun: int) -> float:
        if not begun:
            return 0.0
        return self._seconds[begun] - max(0.0, self._ends[begun - 1] - moment)


class _WorkIndex:
    """Attempts and waits of the calls of one work that have ended, and the calls that have not."""

    def __init__(self, work: WorkHistory) -> None:
        self.work = work
        self.attempts = _Spans()
        self.waits = _Spans()
        self.open: list[CallHistory] = []
        self._num_taken = 0

    def update(self) -> None:
        """Read the calls that were requested or have ended since the last update."""
        calls = self.work.calls
        if len(calls) > self._num_taken:
            self.open += calls[self._num_taken :]
            self._num_taken = len(calls)
        attempts: list[_Span] = []
        waits: list[_Span] = []
        still_open: list[CallHistory] = []
        for call in self.open:
            if not call.is_final:
                still_open.append(call)
                continue
            made = call.attempts
            attempts += (_span_of(call, attempt, call.lost_at, "stopped") for attempt in made)
            waits.append(_wait_of(call, made, call.lost_at))
        self.open = still_open
        self.attempts.add(attempts)
        self.waits.add(waits)


class Timeline:
    """The timeline of one run.

    It must not be used by two threads at once, nor while another one changes the history.

    Args:
        history: The history, which may grow.

    Example:
        >>> from lightning_lite.engine.history import RunHistory
        >>> Timeline(RunHistory()).describe([], now=1764000000.0, is_running=False)["rows"]
        []
    """

    def __init__(self, history: RunHistory) -> None:
        self._history = history
        self._indices: dict[str, _WorkIndex] = {}

    def describe(
        self,
        works: Sequence[str],
        *,
        now: float,
        is_running: bool,
        start: float | None = None,
        end: float | None = None,
        pixels: int = 1000,
    ) -> dict[str, Any]:
        """Return the calls of works in a range of time, ready for JSON.

        Args:
            works: Full names of the works, at most 60.
            now: Present time in seconds since 1970.
            is_running: Whether the app is still running: else its calls without an end are lost.
            start: Begin of the range in seconds since 1970; by default the begin of the run.
            end: End of the range; by default `now`, or the last event of a run that has ended.
            pixels: Width at which the range is shown.

        Returns:
            `from`, `to`, `now`, `begun` (times of the start and of each resume), `running`, `passes` (bins of
            the passes of the flow: time and number), and `rows`. A row has the name of the `work`, the number
            of `calls` in the range, `process` (times and stages of its process), and either `spans` with
            `waits`, or `bins`. A span has began, ended (`None` while it runs), outcome, number of the call
            and of the attempt; a wait has requested and began (`None` while it waits); a bin has from, to,
            attempts that began, attempts that failed or were lost, and the share of the time that is busy.

        Raises:
            ValueError: There are too many works, or the range is empty or not finite.
            LookupError: The run has no such work.
        """
        if len(works) > MAX_WORKS:
            raise ValueError(f"{len(works)} works are too many for one look; ask for at most {MAX_WORKS}")
        history = self._history
        first = min(history.begun[:1] + history.times[:1], default=now)
        last = now if is_running else history.last_time
        start = first if start is None else start
        end = max(last, start + 0.001) if end is None else end
        if not (isfinite(start) and isfinite(end) and start < end):
            raise ValueError(f"the range from {start} to {end} is empty; its end must be after its start")
        pixels = min(max(pixels, _MIN_PIXELS), _MAX_PIXELS)
        max_spans = max(20, min(pixels // _BIN_WIDTH, _MAX_SPANS // max(1, len(works))))
        view = _View(start, end, pixels, max_spans, _edges(start, end, pixels // _BIN_WIDTH))
        lost_at = None if is_running else history.last_time
        return {
            "from": start,
            "to": end,
            "now": now,
            "begun": list(history.begun),
            "running": is_running,
            "rows": [_row(self._index(work), view, now, lost_at) for work in dict.fromkeys(works)],
            "passes": _passes(history.times, view.edges),
        }

    def _index(self, name: str) -> _WorkIndex:
        index = self._indices.get(name)
        if index is None:
            work = self._history.works.get(name)
            if work is None:
                raise LookupError(f"the run has no work {name!r}")
            index = self._indices[name] = _WorkIndex(work)
        index.update()
        return index


class _View(NamedTuple):
    """The range that is shown, its width in pixels, the most spans in a row, and the limits of the bins."""

    start: float
    end: float
    pixels: int
    max_spans: int
    edges: list[float]


def _edges(start: float, end: float, number: int) -> list[float]:
    """Return the limits of bins, rounded so that they are short in JSON."""
    width = (end - start) / number
    digits = 3 if width > 0.02 else 6
    inner = {round(start + position * width, digits) for position in range(1, number)}
    return sorted({start, *(edge for edge in inner if start < edge < end), end})


def _row(index: _WorkIndex, view: _View, now: float, lost_at: float | None) -> dict[str, Any]:
    """Return the row of a work; `lost_at` is when calls without an end were lost, or `None`."""
    found = index.attempts.within(view.start, view.end)
    unended: list[_Span] = []
    waiting: list[_Span] = []
    for call in index.open:
        made = call.attempts
        outcome = "running" if lost_at is None else "lost"
        until = now if lost_at is None else lost_at
        unended += (_span_of(call, attempt, until, outcome) for attempt in made)
        # A resume continues a call that was stopped, so it stays among these, but it waits no more.
        waits_on = lost_at is None and not call.ended
        waiting.append(_wait_of(call, made, None if call.ended else until, waits_on=waits_on))
    unended = [span for span in unended if span.end >= view.start and span.start <= view.end]
    row = {
        "work": index.work.name,
        "calls": index.attempts.count_calls(found) + len({span.number for span in unended}),
        "spans": [],
        "waits": [],
        "bins": [],
        "process": _process(index.work, view),
    }
    if len(found) + len(unended) <= view.max_spans:
        spans = [*(index.attempts[position] for position in found), *unended]
        row["spans"] = [_shown(span) for span in spans if span.end >= view.start]
        row["waits"] = _waits(index.waits, waiting, view)
    else:
        row["bins"] = _bins(index.attempts, unended, view.edges)
    return row


def _span_of(call: CallHistory, attempt: Attempt, until: float | None, outcome: str) -> _Span:
    """Return an attempt as a span; one without an end lasts until a time and has an outcome."""
    if attempt.ended is not None:
        known = attempt.outcome if attempt.outcome in _CODES else "stopped"
        return _Span(attempt.began, max(attempt.ended, attempt.began), call.number, attempt.number, known)
    if call.lost_at is not None:
        outcome, until = "lost", call.lost_at
    end = max(attempt.began, attempt.began if until is None else until)  # a clock may be set back
    return _Span(attempt.began, end, call.number, attempt.number, outcome)


def _wait_of(
    call: CallHistory, made: Sequence[Attempt], until: float | None, *, waits_on: bool = False
) -> _Span:
    """Return the time from the request of a call to its first attempt.

    Without one, it goes to a time, or to the last status; it is `pending` if the call still waits.
    """
    if made:
        return _Span(call.asked, max(call.asked, made[0].began), call.number, 0, "succeeded")
    end = call.statuses[-1].timestamp if until is None else until
    return _Span(call.asked, max(call.asked, end), call.number, 0, "pending" if waits_on else "stopped")


def _shown(span: _Span) -> list[Any]:
    ended = None if span.outcome == "running" else span.end
    return [span.start, ended, span.outcome, span.number, span.attempt]


def _waits(known: _Spans, waiting: list[_Span], view: _View) -> list[list[Any]]:
    """Return the waits that are at least one pixel wide, the newest ones if there are many."""
    pixel = (view.end - view.start) / view.pixels
    found = known.within(view.start, view.end)[-_MAX_QUEUE:]
    waits = [
        [span.start, None if span.outcome == "pending" else span.end]
        for span in (*(known[index] for index in found), *waiting)
        if span.end - span.start >= pixel and span.end >= view.start and span.start <= view.end
    ]
    return waits[-view.max_spans :]


def _bins(known: _Spans, unended: list[_Span], edges: list[float]) -> list[list[float]]:
    """Return the bins that are not empty."""
    values = list(known.bins(edges))
    last = len(values) - 1
    for span in unended:
        first = min(max(bisect_right(edges, span.start) - 1, 0), last)
        final = min(max(bisect_right(edges, span.end) - 1, 0), last)
        values[first][0] += span.start >= edges[0]
        values[final][1] += span.outcome in _FAILED and span.end <= edges[-1]
        for position in range(first, final + 1):
            inside = min(span.end, edges[position + 1]) - max(span.start, edges[position])
            values[position][2] += max(0.0, inside)
    return [
        [low, high, begun, failed, min(1.0, round(busy / (high - low), 3))]
        for (begun, failed, busy), low, high in zip(values, edges, edges[1:], strict=False)
        if begun or failed or busy
    ]


def _process(work: WorkHistory, view: _View) -> list[list[Any]]:
    """Return the statuses of the process in the range, and the last one before it.

    Of equal stages in one bin, only the first one is kept.
    """
    width = (view.end - view.start) * _BIN_WIDTH / view.pixels
    earlier = [status for status in work.statuses if status.timestamp < view.start][-1:]
    shown = {(-1, status.stage): [status.timestamp, status.stage] for status in earlier}
    for status in work.statuses:
        if view.start <= status.timestamp <= view.end:
            slot = int((status.timestamp - view.start) / width)
            shown.setdefault((slot, status.stage), [status.timestamp, status.stage])
    return list(shown.values())


def _passes(times: list[float], edges: list[float]) -> list[list[float]]:
    """Return the begin of each bin with events and their number; an event belongs to a pass of the flow."""
    found: list[list[float]] = []
    low = bisect_left(times, edges[0])
    for position in range(1, len(edges)):
        find = bisect_right if position == len(edges) - 1 else bisect_left
        high = find(times, edges[position])
        if high > low:  # a clock may be set back
            found.append([edges[position - 1], high - low])
        low = high
    return found
