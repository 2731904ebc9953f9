"""Index of the events of a run: its failures, the times of changes of its state, and its newest events.

`engine.history.RunHistory` holds the data of a run; this index holds data that a reader would have to
search for in it. Both are fed with the same events, one after the other.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple, assert_never

from lightning_lite.engine.history import RunHistory
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
    is_below,
)
from lightning_lite.status import WorkStageStatus, WorkStatus

#: Failures that are kept: the first ones have the cause, the last ones are of interest now.
_FIRST_FAILURES = 20
_LAST_FAILURES = 180

_NEWEST_EVENTS = 200

_FAILED = WorkStageStatus.FAILED


class FailedAttempt(NamedTuple):
    """A failed attempt of a call, or a failure of the process of a work.

    Attributes:
        work: Name of the work.
        call: Number of the call; `None` if its process failed outside a call.
        attempt: Number of the attempt, from 1; 0 if its process failed outside a call.
        time: Seconds since 1970.
        reason: One of `WorkFailureReasons`, or `None`.
        message: One line for people.
    """

    work: str
    call: int | None
    attempt: int
    time: float
    reason: str | None
    message: str


class AttributeChange(NamedTuple):
    """The last change of an attribute since its component was attached.

    Attributes:
        time: Seconds since 1970; `None` if a compaction of the journal has removed that time.
        count: Number of the changes that are known.
    """

    time: float | None
    count: int  # type: ignore[assignment]   # hides tuple.count


class WorkCounts(NamedTuple):
    """Numbers of a work: calls, calls that succeeded, and failed attempts."""

    calls: int
    succeeded: int
    failed: int


class NewestEvent(NamedTuple):
    """An event without its values.

    Attributes:
        time: Seconds since 1970.
        kind: Name of its class, as in `lightning_lite.events`.
        component: Name of its component, or "".
        call: Number of its call, or `None`.
    """

    time: float
    kind: str
    component: str
    call: int | None


class Failures:
    """The first and the last failures of a run, and their true number.

    Attributes:
        total: Number of all failures.

    Example:
        >>> failures = Failures()
        >>> for number in range(1, 1001):
        ...     failures.add(FailedAttempt("root.w", number, 1, 0.0, "crashed", "gone"))
        >>> failures.total, [failure.call for failure in failures.items()][18:22]
        (1000, [19, 20, 821, 822])
    """

    def __init__(self) -> None:
        self.total = 0
        self._first: list[FailedAttempt] = []
        self._last: deque[FailedAttempt] = deque(maxlen=_LAST_FAILURES)

    def add(self, failure: FailedAttempt) -> None:
        """Add the next failure."""
        self.total += 1
        kept = self._first if len(self._first) < _FIRST_FAILURES else self._last
        kept.append(failure)

    def items(self) -> list[FailedAttempt]:
        """Return the first and the last failures, the oldest first."""
        return [*self._first, *self._last]


class EventIndex:
    """The index of one run; `note` takes each event after `RunHistory.apply` has taken it.

    A compacted journal begins with a snapshot, which has no times of changes and not all failures. Those
    that an index of the same run had before the compaction are taken from there.

    Args:
        history: The history of the run.
        earlier: The index that an earlier reading of the journal of this run has made.

    Attributes:
        failures: The failures of works and their calls.
        changes: The last change of each attribute that has changed, by component and attribute.

    Example:
        >>> from lightning_lite.events import ComponentAttached, StateWritten
        >>> history = RunHistory()
        >>> index = EventIndex(history)
        >>> attached = ComponentAttached("root", 12.0, False, ("app.py", "Root"), {"k": b"0"})
        >>> for event in (attached, StateWritten("root", 12.5, {"k": b"1"})):
        ...     history.apply(event)
        ...     index.note(event)
        >>> index.changes
        {'root': {'k': AttributeChange(time=12.5, count=1)}}
    """

    def __init__(self, history: RunHistory, earlier: EventIndex | None = None) -> None:
        self._history = history
        self._earlier = earlier
        self.failures = Failures()
        self.changes: dict[str, dict[str, AttributeChange]] = {}
        self._newest: deque[tuple[float, type[Event], str, int | None]] = deque(maxlen=_NEWEST_EVENTS)
        self._succeeded: dict[str, int] = {}
        self._failed: dict[str, int] = {}
        self._kept_failures: list[FailedAttempt] = []  # of the snapshot, in the order of the works

    def counts(self, work: str) -> WorkCounts:
        """Return the numbers of a work.

        Example:
            >>> EventIndex(RunHistory()).counts("root.w")
            WorkCounts(calls=0, succeeded=0, failed=0)
        """
        history = self._history.works.get(work)
        calls = 0 if history is None else history.num_calls
        return WorkCounts(calls, self._succeeded.get(work, 0), self._failed.get(work, 0))

    @property
    def newest(self) -> list[NewestEvent]:
        """The newest events, the oldest first."""
        return [NewestEvent(time, kind.__name__, name, call) for time, kind, name, call in self._newest]

    def note(self, event: Event) -> None:
        """Add the next event."""
        call: int | None = None
        match event:
            case CallStatusChanged(component=work, status=status):
                call = event.number
                if status.stage == _FAILED:
                    self._add_failure(work, call, status)
            case CallSucceeded(component=work):
                self._succeeded[work] = self._succeeded.get(work, 0) + 1
            case CallAsked():
                call = event.number
            case StateReported() | StateWritten():
                self._note_change(event)
            case WorkStatusChanged(component=work, status=status):
                if status.stage == _FAILED:
                    self._add_failure(work, None, status)
            case CallsKept() | AnswersKept() | WorkKept():
                self._note_kept(event)
                return
            case HistoryKept():
                self._end_snapshot(event)
                return
            case RunBegun():
                self._earlier = None  # after a snapshot, or there is none
                self._newest.append((event.time, RunBegun, "", None))
                return
            case ComponentDetached():
                for name in [name for name in self.changes if is_below(name, event.component)]:
                    del self.changes[name]
            case (
                ComponentAttached()
                | ScheduleFired()
                | ProcessStarted()
                | CallFailed()
                | CallSurvived()
                | AnswerUsed()
            ):
                pass  # concerns neither a failure nor a change of state
            case _:
                assert_never(event)
        self._newest.append((event.time, type(event), event.component, call))

    def _add_failure(self, work: str, call: int | None, status: WorkStatus) -> None:
        self._failed[work] = self._failed.get(work, 0) + 1
        self.failures.add(_failure(work, call, status))

    def _note_change(self, event: StateReported | StateWritten) -> None:
        changes = self.changes.setdefault(event.component, {})
        for attribute in event.values:
            known = changes.get(attribute)
            changes[attribute] = AttributeChange(event.time, 1 if known is None else known.count + 1)

    # Snapshots.

    def _note_kept(self, event: CallsKept | AnswersKept | WorkKept) -> None:
        work = event.component
        if isinstance(event, AnswersKept):
            self._succeeded[work] = self._succeeded.get(work, 0) + len(event.keys)
        elif isinstance(event, CallsKept):
            for call in event.calls:
                if call.statuses[-1].stage == WorkStageStatus.SUCCEEDED:
                    self._succeeded[work] = self._succeeded.get(work, 0) + 1
                self._keep_failures(work, call.number, call.statuses)
        else:
            self._keep_failures(work, None, event.statuses)
            # Calls that are no longer remembered are in these numbers only. Those of a removed work are 0.
            _, failed, succeeded, *_ = event.counts
            self._succeeded[work] = max(self._succeeded.get(work, 0), succeeded)
            self._failed[work] = max(self._failed.get(work, 0), failed)

    def _keep_failures(self, work: str, call: int | None, statuses: tuple[WorkStatus, ...]) -> None:
        found = [_failure(work, call, status) for status in statuses if status.stage == _FAILED]
        if found:
            self._kept_failures += found
            self._failed[work] = self._failed.get(work, 0) + len(found)

    def _end_snapshot(self, event: HistoryKept) -> None:
        """Sort the data of the snapshot; events that are later than its time follow after it."""
        earlier, self._earlier = self._earlier, None
        found, self._kept_failures = {*self._kept_failures}, []
        self._newest.clear()  # they were events of the snapshot
        if earlier is not None:
            found.update(failure for failure in earlier.failures.items() if failure.time <= event.time)
            self._newest.extend(one for one in earlier._newest if one[0] < event.time)
        self.failures = Failures()
        for failure in sorted(found, key=lambda one: one.time):
            self.failures.add(failure)
        self.failures.total = max(self.failures.total, sum(self._failed.values()))
        for component, changes in self.changes.items():
            for attribute in changes:
                changes[attribute] = self._change_before(earlier, component, attribute, event.time)

    def _change_before(
        self, earlier: EventIndex | None, component: str, attribute: str, snapshot: float
    ) -> AttributeChange:
        """Return the last change of an attribute before the snapshot that was made at a time."""
        known = earlier.changes.get(component, {}).get(attribute) if earlier is not None else None
        if earlier is None or known is None:
            return AttributeChange(None, 1)
        before = earlier._history.states.get(component, {}).get(attribute)
        is_same = before == self._history.states[component][attribute]
        return known if is_same else AttributeChange(snapshot, known.count)


def _failure(work: str, call: int | None, status: WorkStatus) -> FailedAttempt:
    return FailedAttempt(work, call, status.count, status.timestamp, status.reason, status.message)
