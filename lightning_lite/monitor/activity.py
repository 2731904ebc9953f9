"""When attempts of calls have ended, in a few bins for each run: the small lines in the list of runs.

A journal is read on from where the last reading ended. Only the times of ended attempts are kept of it. A
short part is read while the caller waits; long journals are read by a thread that leaves half of a CPU to
others.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterable
from itertools import pairwise
from threading import Condition, Lock, Thread
from time import monotonic, time
from typing import Any, assert_never

from lightning_lite.errors import JournalError, NothingToResume
from lightning_lite.events import (
    AnswersKept,
    AnswerUsed,
    CallAsked,
    CallFailed,
    CallsKept,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    ComponentAttached,
    ComponentDetached,
    Event,
    HistoryKept,
    ProcessStarted,
    RunBegun,
    ScheduleFired,
    StateReported,
    StateWritten,
    WorkKept,
    WorkStatusChanged,
)
from lightning_lite.monitor.event_reader import EventReader, Stamp, stamp_of
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.runs.journal_format import JournalReplaced, journal_size
from lightning_lite.status import WorkStageStatus, WorkStatus

NUM_BINS = 24

#: Seconds for which one question reads journals itself: the short ones, and the beginning of long ones.
_BUDGET = 0.1

#: Seconds for which the thread reads at a time, and for which it rests after that.
_SLICE = 0.05
_REST = 0.05

#: Runs of which the times of attempts are kept, those that were asked for last.
_MAX_RUNS = 200


class Activity:
    """Counts the ended attempts of runs over time; any thread may use it.

    `close` ends its thread.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._runs: OrderedDict[str, _Reading] = OrderedDict()
        self._waiting: OrderedDict[str, _Reading] = OrderedDict()
        self._is_closing = Condition(self._lock)
        self._thread: Thread | None = None
        self._is_closed = False

    def describe(self, runs: Iterable[RunSummary], budget: float = _BUDGET) -> dict[str, dict[str, Any]]:
        """Return the activity of runs by their id, for JSON.

        That is `pending` while a journal is read, `trouble` if it can't be read, else the numbers of attempts
        that have ended and that have failed, in all and in bins of equal duration.

        Args:
            runs: The runs.
            budget: Seconds for which it may read before it leaves the rest to its thread.
        """
        found = {}
        with self._lock:
            readings = [(run, self._reading_of(run.path)) for run in runs]
            due = monotonic() + budget
            for run, reading in sorted(readings, key=lambda one: one[1].num_unread):
                if reading.read_on(due):
                    self._waiting.pop(run.path, None)
                    found[run.id] = reading.describe(time() if run.state == "running" else 0.0)
                else:
                    self._waiting[run.path] = reading
                    found[run.id] = {"pending": True}
            if self._waiting and self._thread is None and not self._is_closed:
                self._thread = Thread(target=self._read_waiting, name="lightning-lite-activity", daemon=True)
                self._thread.start()
        return found

    def close(self) -> None:
        """End the thread; journals are read only while a caller waits from then on."""
        with self._lock:
            self._is_closed = True
            self._is_closing.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _reading_of(self, path: str) -> _Reading:
        """Return the reading of a run, and forget the one that was asked for longest ago."""
        reading = self._runs.setdefault(path, _Reading(path))
        self._runs.move_to_end(path)
        if len(self._runs) > _MAX_RUNS:
            gone, _ = self._runs.popitem(last=False)
            self._waiting.pop(gone, None)
        return reading

    def _read_waiting(self) -> None:
        """Read the journals that wait, and end."""
        with self._lock:
            while self._waiting and not self._is_closed:
                path, reading = next(iter(self._waiting.items()))
                if reading.read_on(monotonic() + _SLICE):
                    del self._waiting[path]
                self._is_closing.wait(_REST)  # gives the lock to others for so long
            self._thread = None


class _Reading:
    """The reading of the journal of one run.

    Args:
        path: Absolute path of the folder of the run.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._stamp: Stamp | None = None
        self._trouble = ""
        self._begin()

    def _begin(self) -> None:
        self._attempts = _Attempts()
        self._reader = EventReader(self._path, self._attempts.note)

    @property
    def num_unread(self) -> int:
        """Number of bytes that are still to be read, about."""
        return max(0, journal_size(self._path) - self._reader.bytes_read)

    def read_on(self, due: float) -> bool:
        """Read until a time in monotonic seconds; return whether all was read."""
        try:
            stamp = stamp_of(self._path)
            if not self._reader.is_under_way:
                if stamp == self._stamp:
                    return True
                self._stamp = stamp
            try:
                self._reader.read_on(due)
            except JournalReplaced:
                self._begin()
                self._reader.read_on(due)
            if not self._reader.is_broken:
                self._trouble = ""
        except NothingToResume:
            self._begin()
            self._stamp, self._trouble = None, ""
        except JournalError as error:
            self._trouble = str(error)
        return not self._reader.is_under_way

    def describe(self, now: float) -> dict[str, Any]:
        """Return the activity up to a time in seconds since 1970, or to the last event, for JSON."""
        return {"trouble": self._trouble} if self._trouble else self._attempts.describe(now)


class _Attempts:
    """The times at which attempts of calls of one run have ended and have failed."""

    def __init__(self) -> None:
        self._begun: float | None = None
        self._last = 0.0
        self._ended = _Times()
        self._failed = _Times()

    def describe(self, now: float) -> dict[str, Any]:
        """Return the numbers from the start of the run up to a time, or to its last event."""
        start = self._begun if self._begun is not None else self._last
        stop = max(start, self._last, now)
        return {
            "attempts": len(self._ended),
            "failed": len(self._failed),
            "from": start,
            "to": stop,
            "bins": self._ended.bins(start, stop),
            "failed_bins": self._failed.bins(start, stop),
        }

    def note(self, event: Event) -> None:
        """Add the next event."""
        match event:
            case CallSucceeded(time=moment):
                self._ended.add(moment)
            case CallStatusChanged(time=moment, status=status):
                self._note_status(status)
            case AnswersKept(times=times):
                self._ended.extend(times)
                return
            case CallsKept(calls=calls):
                for call in calls:
                    for status in call.statuses:
                        self._note_status(status)
                return
            case HistoryKept(begun=begun, time=moment):
                self._begun = begun[0] if begun else None
            case RunBegun(time=moment):
                self._begun = moment if self._begun is None else self._begun
            case (
                CallAsked(time=moment)
                | CallFailed(time=moment)
                | CallSurvived(time=moment)
                | AnswerUsed(time=moment)
                | StateReported(time=moment)
                | StateWritten(time=moment)
                | WorkStatusChanged(time=moment)
                | WorkKept(time=moment)
                | ProcessStarted(time=moment)
                | ScheduleFired(time=moment)
                | ComponentAttached(time=moment)
                | ComponentDetached(time=moment)
            ):
                pass  # the end of an attempt is in the events above
            case _:
                assert_never(event)
        self._last = max(self._last, moment)

    def _note_status(self, status: WorkStatus) -> None:
        if status.stage == WorkStageStatus.FAILED:
            self._failed.add(status.timestamp)
            self._ended.add(status.timestamp)
        elif status.stage == WorkStageStatus.SUCCEEDED:
            self._ended.add(status.timestamp)


class _Times:
    """Many times, as numbers in one block of memory."""

    def __init__(self) -> None:
        self._times = array("d")
        self._is_sorted = True

    def __len__(self) -> int:
        return len(self._times)

    def add(self, moment: float) -> None:
        """Add a time, in most cases the latest."""
        if self._times and moment < self._times[-1]:
            self._is_sorted = False
        self._times.append(moment)

    def extend(self, moments: Iterable[float]) -> None:
        """Add some times."""
        self._times.extend(moments)
        self._is_sorted = False

    def bins(self, start: float, stop: float) -> list[int]:
        """Return how many times are in each of `NUM_BINS` equal parts of a range."""
        if not self._is_sorted:  # a snapshot has them by work
            self._times = array("d", sorted(self._times))
            self._is_sorted = True
        width = (stop - start) / NUM_BINS
        edges = [bisect_left(self._times, start + width * number) for number in range(1, NUM_BINS)]
        return [after - before for before, after in pairwise([0, *edges, len(self._times)])]
