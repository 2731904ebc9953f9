"""History of a run, folded from its events: works, their calls, attempts and times, and the states.

`read_history` serves `status`, `timeline` and the pages. It reads runs that have ended, died or are still
running. It changes nothing, takes no lock, and loads no class of a user. A resume folds the same events.

    history = read_history("/root/runs/20261122-035501123-9f3ac2")
    for work in history.works.values():
        for call in work.calls:
            print(work.name, call.number, call.arguments, call.stage, call.attempts)
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple, assert_never

from lightning_lite.events import (
    AnswerUsed,
    CallAsked,
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    ComponentAttached,
    ComponentDetached,
    Event,
    ProcessStarted,
    RunBegun,
    ScheduleFired,
    StateReported,
    StateWritten,
    WorkStatusChanged,
    is_below,
)
from lightning_lite.places import Place
from lightning_lite.runs.event_codec import decode_events
from lightning_lite.runs.reader import read_records
from lightning_lite.runs.safe_unpickle import show_arguments
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.tree.calls import Call, CallRecords

_NOT_STARTED = WorkStatus(WorkStageStatus.NOT_STARTED)

_ENDS = frozenset({"succeeded", "failed", "stopped"})


class Attempt(NamedTuple):
    """One attempt of a call.

    Attributes:
        number: Number of the attempt, from 1.
        began: When it was sent, in seconds since 1970.
        ended: When it ended, or `None` if that was not recorded.
        outcome: `succeeded`, `failed`, `stopped`, `restarted` if the flow restarted the process during the
            attempt, `lost` if the app died during it, or `running`.
        reason: Why it failed, or `None`.
        message: One line that describes the end, or "".
    """

    number: int
    began: float
    ended: float | None
    outcome: str
    reason: str | None
    message: str


class CallHistory:
    """History of one call.

    Attributes:
        work: Name of the work.
        cut: If the app died before it recorded the end of the call: time of the last event before that, in
            seconds since 1970. Else `None`. A resumed app requests a lost call again, as a new call.
    """

    def __init__(self, work: str, call: Call, arguments: bytes | None) -> None:
        self.work = work
        self.cut: float | None = None
        self._call = call
        self._arguments = arguments

    @property
    def key(self) -> str:
        """Key of the call."""
        return self._call.key

    @property
    def number(self) -> int:
        """1 for the first call of the work."""
        return self._call.number

    @property
    def statuses(self) -> list[WorkStatus]:
        """Its statuses, oldest first."""
        return self._call.statuses

    @property
    def arguments(self) -> str:
        """The arguments as source code, shortened; `...` if they are long."""
        return "..." if self._arguments is None else show_arguments(self._arguments)

    @property
    def asked(self) -> float:
        """When the flow requested it, in seconds since 1970."""
        return self.statuses[0].timestamp

    @property
    def stage(self) -> str:
        """Its last known stage: one of `WorkStageStatus`, or `lost`."""
        return self.statuses[-1].stage if self.cut is None else "lost"

    @property
    def ended(self) -> bool:
        """Whether it has ended or was lost."""
        return self.cut is not None or self.stage in _ENDS

    @property
    def message(self) -> str:
        """The message of its last status, or ""."""
        return self.statuses[-1].message

    @property
    def attempts(self) -> list[Attempt]:
        """Its attempts, oldest first."""
        found: list[Attempt] = []
        statuses = self.statuses
        for status, after in zip(statuses, (*statuses[1:], None), strict=True):
            if status.stage == WorkStageStatus.RUNNING:
                found.append(self._attempt(status, after))
            elif status.stage == WorkStageStatus.FAILED and (not found or found[-1].number < status.count):
                # Its process failed to start, so the attempt was never sent.
                moment = status.timestamp
                found.append(Attempt(status.count, moment, moment, "failed", status.reason, status.message))
        return found

    def _attempt(self, began: WorkStatus, after: WorkStatus | None) -> Attempt:
        if after is None:
            return Attempt(began.count, began.timestamp, None, self.stage, None, "")
        outcome = "restarted" if after.stage == WorkStageStatus.PENDING else after.stage
        return Attempt(began.count, began.timestamp, after.timestamp, outcome, after.reason, after.message)


class WorkHistory:
    """History of one work.

    Attributes:
        name: Its full name.
        identity: Module (or path of the script) and name of its class; `None` if unknown.
        statuses: The statuses of its process.
        calls: Its calls, in the order of the requests.
        is_detached: Whether the flow has removed it from the tree.
        place: Where its newest process runs or has run; `None` if its work has stopped or failed since.
        place_since: When that process was up, in seconds since 1970.
        records: The records of its calls, as the flow has them.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity: tuple[str, str] | None = None
        self.statuses: list[WorkStatus] = []
        self.calls: list[CallHistory] = []
        self.is_detached = False
        self.place: Place | None = None
        self.place_since = 0.0
        self.records = CallRecords()

    @property
    def last(self) -> WorkStatus:
        """The last status of its newest call or of its process; `not_started` if there is none."""
        # For equal times, the call comes first: its start follows the start of the process.
        statuses = [*(self.calls[-1].statuses[-1:] if self.calls else ()), *self.statuses[-1:]]
        return max(statuses, key=lambda status: status.timestamp, default=_NOT_STARTED)


class RunHistory:
    """History of one run; `apply` folds the next event into it.

    Attributes:
        works: All works that have ever been in the tree, by name.
        begun: Times of the start and of each resume, in seconds since 1970.
        times: Times of all events, in seconds since 1970, without repetitions.
        states: Last values of the attributes of flows and works, encoded, by component.
        written: The subset of `states` that was written or reported after the component was attached.
    """

    def __init__(self) -> None:
        self.works: dict[str, WorkHistory] = {}
        self.begun: list[float] = []
        self.times: list[float] = []
        self.states: dict[str, dict[str, bytes]] = {}
        self.written: dict[str, dict[str, bytes]] = {}
        self._current: dict[tuple[str, str], CallHistory] = {}

    @property
    def calls(self) -> Iterator[CallHistory]:
        """All calls of all works."""
        for work in self.works.values():
            yield from work.calls

    @property
    def last_time(self) -> float:
        """The time of the last event, in seconds since 1970; 0 if there is none."""
        return max([*self.begun[-1:], *self.times[-1:]], default=0.0)

    def apply(self, event: Event) -> None:
        """Fold the next event."""
        match event:
            case RunBegun():
                self._begin(event.time)
                return
            case ComponentAttached():
                self.states[event.component] = dict(event.state)
                if event.is_work:
                    work = self._work(event.component)
                    work.identity, work.is_detached = event.identity, False
            case ComponentDetached():
                self._detach(event.component)
            case StateWritten() | StateReported():
                self.states.setdefault(event.component, {}).update(event.values)
                self.written.setdefault(event.component, {}).update(event.values)
            case ProcessStarted():
                work = self._work(event.component)
                work.place, work.place_since = event.place, event.time
            case WorkStatusChanged():
                work = self._work(event.component)
                if event.status.stage in (WorkStageStatus.FAILED, WorkStageStatus.STOPPED):
                    work.place = None
                work.records.apply(event)
                work.statuses.append(event.status)
            case CallAsked() | CallStatusChanged() | CallSucceeded() | CallFailed():
                self._apply_to_call(event)
            case AnswerUsed():
                self._work(event.component).records.apply(event)
            case CallSurvived() | ScheduleFired():
                pass
            case _:
                assert_never(event)
        if self.times[-1:] != [event.time]:
            self.times.append(event.time)

    def _apply_to_call(self, event: CallAsked | CallStatusChanged | CallSucceeded | CallFailed) -> None:
        work = self._work(event.component)
        work.records.apply(event)
        call, shown = work.records.current[event.key], self._current.get((work.name, event.key))
        if shown is None or shown._call is not call:
            arguments = event.arguments if isinstance(event, CallAsked) else None
            shown = self._current[work.name, event.key] = CallHistory(work.name, call, arguments)
            work.calls.append(shown)

    def _begin(self, moment: float) -> None:
        """Fold a start or resume: calls that an earlier process had not ended are lost."""
        for call in self._current.values():
            if call.cut is None and call.statuses[-1].stage not in _ENDS:
                call.cut = self.last_time
        for work in self.works.values():
            work.place = None
        self.begun.append(moment)

    def _detach(self, top: str) -> None:
        """Fold the removal of a component with all below it; the history of its works stays."""
        for work, key in [called for called in self._current if is_below(called[0], top)]:
            del self._current[work, key]
        for name, known in self.works.items():
            if is_below(name, top):
                known.is_detached = True
                known.records = CallRecords()
        for by_component in (self.states, self.written):
            for name in [name for name in by_component if is_below(name, top)]:
                del by_component[name]

    def _work(self, name: str) -> WorkHistory:
        return self.works.setdefault(name, WorkHistory(name))


def fold(events: Iterable[Event]) -> RunHistory:
    """Return the history that the events of a run give."""
    history = RunHistory()
    for event in events:
        history.apply(event)
    return history


def read_history(path: str) -> RunHistory:
    """Return the history of a run up to now.

    Args:
        path: Absolute path of its folder.

    Raises:
        NothingToResume: It has no journal.
        JournalError: The journal is damaged, of another version or another user, or can't be read.
    """
    return fold(decode_events(read_records(path), os.path.join(path, "journal.db")))
