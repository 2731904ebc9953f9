"""History of a run, built from its events: works, their calls, attempts and times, and the states.

`read_history` serves `status`, `timeline` and the pages. It reads runs that have ended, died or are still
running. It changes nothing, takes no lock, and loads no class of a user. A resume builds it from the same
events.

    history = read_history("/root/runs/20261122-035501123-9f3ac2")
    for work in history.works.values():
        for call in work.calls:
            print(work.name, call.number, call.arguments, call.stage, call.attempts)
"""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, assert_never

from lightning_lite.errors import JournalCorrupt
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
    KeptCall,
    ProcessStarted,
    RunBegun,
    ScheduleFired,
    StateReported,
    StateWritten,
    StoredValue,
    WorkKept,
    WorkStatusChanged,
    is_below,
)
from lightning_lite.harmless_text import one_line
from lightning_lite.process_places import Place
from lightning_lite.runs.event_codec import decode_events
from lightning_lite.runs.journal_format import FILE_NAME, corrupt, read_entries
from lightning_lite.runs.journal_values import JournalValue
from lightning_lite.runs.safe_unpickle import show_arguments
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.tree.calls import Answer, Call, CallRecords
from lightning_lite.values.pickling import REFERENCE, files_of

_NOT_STARTED = WorkStatus(WorkStageStatus.NOT_STARTED)

_UNFINISHED = frozenset({WorkStageStatus.PENDING, WorkStageStatus.RUNNING})

#: Calls in one event of a snapshot.
_CALLS_PER_EVENT = 200

#: Starts and resumes, and keys of moved calls, that a snapshot keeps.
_MAX_KEPT = 1000


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
        lost_at: If the app died before it recorded the end of the call: time of the last event before that,
            in seconds since 1970. Else `None`. A resumed app requests a lost call again, as a new call.
    """

    __slots__ = ("_arguments", "_call", "lost_at", "work")

    def __init__(self, work: str, call: Call, arguments: bytes | None) -> None:
        self.work = work
        self.lost_at: float | None = None
        self._call = call
        self._arguments = arguments

    def to_kept(self, *, is_current: bool, is_listed: bool) -> KeptCall:
        """Return the record of the call for a snapshot."""
        return self._call.to_kept(self._arguments, self.lost_at, is_current=is_current, is_listed=is_listed)

    @property
    def record(self) -> Call:
        """The record of the call, as the flow has it."""
        return self._call

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
    def packed_arguments(self) -> bytes | None:
        """The pickled `(args, kwargs)`; `None` if they are too large for the journal."""
        return self._arguments

    @property
    def asked(self) -> float:
        """When the flow requested it, in seconds since 1970."""
        return self.statuses[0].timestamp

    @property
    def stage(self) -> str:
        """Its last known stage: one of `WorkStageStatus`, or `lost`."""
        return self._call.stage if self.lost_at is None else "lost"

    @property
    def ended(self) -> bool:
        """Whether it has ended or was lost."""
        return self.lost_at is not None or self.stage not in _UNFINISHED

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to it: no attempt follows its end, or it was lost."""
        return self.lost_at is not None or self._call.ended

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
        calls: Its calls, in the order of the requests; old ones are no longer listed.
        num_unlisted: Number of the calls that are no longer listed.
        is_detached: Whether it is not in the tree: not yet attached, or removed by the flow.
        place: Where its newest process runs or has run; `None` if its work has stopped or failed since.
        place_since: When that process was up, in seconds since 1970.
        records: The records of its calls, as the flow has them.
        answers: Remembered calls that are not in `records`; see `RunHistory`.
        newest_by_key: Of `calls`, the newest for each key.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity: tuple[str, str] | None = None
        self.statuses: list[WorkStatus] = []
        self.calls: list[CallHistory] = []
        self.num_unlisted = 0
        self.is_detached = True
        self.place: Place | None = None
        self.place_since = 0.0
        self.records = CallRecords()
        self.answers: list[AnswersKept] = []
        self.newest_by_key: dict[str, CallHistory] = {}
        self._answer_keys: set[str] = set()

    def add_answers(self, event: AnswersKept) -> None:
        """Add remembered calls without making a record of each."""
        self.answers.append(event)
        self._answer_keys.update(event.keys)

    def expand(self, key: str) -> bool:
        """Make the records of the `answers` among which `key` is, and return whether it is in them."""
        if key not in self._answer_keys:
            return False
        position = next(number for number, some in enumerate(self.answers) if key in some.keys)
        event = self.answers.pop(position)
        self._answer_keys.difference_update(event.keys)
        self.records.apply(event)
        return True

    def forget(self) -> None:
        """Forget all remembered calls: the work was removed."""
        self.is_detached = True
        self.records = CallRecords()
        self.newest_by_key.clear()
        self.answers.clear()
        self._answer_keys.clear()

    @property
    def num_calls(self) -> int:
        """Number of its calls, with those that are no longer listed."""
        return self.num_unlisted + len(self.calls)

    @property
    def last(self) -> WorkStatus:
        """The last status of its newest call or of its process; `not_started` if there is none."""
        # For equal times, the call comes first: its start follows the start of the process.
        statuses = [*(self.calls[-1].statuses[-1:] if self.calls else ()), *self.statuses[-1:]]
        return max(statuses, key=lambda status: status.timestamp, default=_NOT_STARTED)


class RunHistory:
    """History of one run; `apply` folds the next event into it.

    The checksums of a journal prove that a process wrote it, not that the process wrote sense. So
    `apply` refuses an event about a component or a call that no earlier event mentions.

    Args:
        file: Absolute path of the journal, which errors name.
        is_lazy: Whether remembered calls that the history does not list stay together as the snapshot has
            them. They take a tenth of the time and the memory, and are not in the `records` of their work.

    Attributes:
        works: All works that have ever been in the tree, by name.
        begun: Times of the start and of each resume, in seconds since 1970.
        times: Times of all events, in seconds since 1970, without repetitions.
        states: Last values of the attributes of flows and works, encoded, by component.
        written: The subset of `states` that was written or reported after the component was attached.
        identities: Module (or path of the script) and name of the class of each flow and work, by component.
        deaths: How often in a row the flow died soon after it had sent a call, by work and key.
    """

    def __init__(self, file: str = FILE_NAME, *, is_lazy: bool = False) -> None:
        self._file = file
        self._is_lazy = is_lazy
        self.works: dict[str, WorkHistory] = {}
        self.begun: list[float] = []
        self.times: list[float] = []
        self.states: dict[str, dict[str, bytes]] = {}
        self.written: dict[str, dict[str, bytes]] = {}
        self.deaths: dict[tuple[str, str], int] = {}
        self._sent: set[tuple[str, str]] = set()
        self.identities: dict[str, tuple[str, str]] = {}
        self._moved: dict[str, None] = {}

    @property
    def calls(self) -> Iterator[CallHistory]:
        """All listed calls of all works."""
        for work in self.works.values():
            yield from work.calls

    @property
    def last_time(self) -> float:
        """The time of the last event, in seconds since 1970; 0 if there is none."""
        return max([*self.begun[-1:], *self.times[-1:]], default=0.0)

    def apply(self, event: Event) -> None:
        """Fold the next event.

        Raises:
            JournalCorrupt: It is about a component or a call that no earlier event mentions.
        """
        match event:
            case CallStatusChanged(status=status) if (
                status.stage == WorkStageStatus.STOPPED and not self._has_call(event)
            ):
                pass  # a signal ended the app after the flow asked for the call and before that was written
            case CallStatusChanged() | CallSucceeded() | CallFailed():
                self._apply_to_call(event)
            case CallAsked():
                self._ask(event)
            case StateWritten() | StateReported():
                self._change_state(event)
            case RunBegun():
                self._begin(event.time)
                return
            case ComponentAttached():
                self.states[event.component] = dict(event.state)
                self.identities[event.component] = event.identity
                if event.is_work:
                    work = self._work(event.component)
                    work.identity, work.is_detached = event.identity, False
            case ComponentDetached():
                self._detach(event.component)
            case ProcessStarted():
                work = self._attached(event)
                work.place, work.place_since = event.place, event.time
                return  # a snapshot repeats it, later than its time
            case WorkStatusChanged():
                work = self._attached(event)
                if event.status.stage in (WorkStageStatus.FAILED, WorkStageStatus.STOPPED):
                    work.place = None
                work.records.apply(event)
                work.statuses.append(event.status)
            case AnswerUsed():
                # No record is needed: the work may have got another name after the call had ended.
                work = self._work(event.component)
                work.expand(event.key)
                work.records.apply(event)
            case CallSurvived():
                self._find(event)
                self._stop_counting_deaths(event.component, event.key)
            case ScheduleFired():
                pass
            case HistoryKept() | CallsKept() | AnswersKept() | WorkKept():
                self._restore(event)
                return
            case _:
                assert_never(event)
        times = self.times
        if not times or times[-1] != event.time:
            times.append(event.time)

    def value_files(self) -> dict[str, int]:
        """Return the files in which the values of remembered calls are: the size in bytes by the name.

        The size is 0 for a value that another process has written, which is not a part of the journal.
        """
        files: dict[str, int] = {}
        for value in self._values():
            if isinstance(value, JournalValue):
                files[value.name] = value.size
            elif type(value) is bytes and value.startswith(REFERENCE):
                files.update(dict.fromkeys(files_of(value), 0))
        return files

    def check_values(self) -> None:
        """Check that the files of the values of remembered calls are there.

        Raises:
            JournalCorrupt: One is missing, or has another size.
            JournalError: The status of one can't be read.
        """
        for value in self._values():
            if isinstance(value, JournalValue):
                value.check()

    def _values(self) -> Iterator[bytes | StoredValue | None]:
        """Yield the values of all remembered calls."""
        for work in self.works.values():
            yield from (call.stored_value for call in work.records.current.values())
            yield from (value for some in work.answers for value in some.values)

    @property
    def sent(self) -> list[tuple[str, str]]:
        """Calls against which the death of the last process of the app counts, by work and key."""
        return sorted(self._sent)

    def end_process(self) -> None:
        """Count the end of a process of the app against the calls that it had just sent."""
        for sent in self._sent:
            self.deaths[sent] = self.deaths.get(sent, 0) + 1
        self._sent.clear()

    def _stop_counting_deaths(self, work: str, key: str) -> None:
        """Stop counting deaths against a call: it has ended, or the flow has survived it."""
        self._sent.discard((work, key))
        if self.deaths:
            self.deaths.pop((work, key), None)

    def _attached(self, event: CallAsked | WorkStatusChanged | ProcessStarted) -> WorkHistory:
        """Return the work of an event, which is in the tree."""
        work = self.works.get(event.component)
        if work is None or work.is_detached:
            raise self._impossible(event, f"there is no work {event.component}")
        return work

    def _find(self, event: CallStatusChanged | CallSucceeded | CallFailed | CallSurvived) -> WorkHistory:
        """Return the work of an event, which was asked for its call, now or under an earlier name."""
        if not self._has_call(event):
            missing = f"{event.component} was not asked for a call with the key {event.key}"
            raise self._impossible(event, missing)
        return self.works[event.component]

    def _has_call(self, event: CallStatusChanged | CallSucceeded | CallFailed | CallSurvived) -> bool:
        work = self.works.get(event.component)
        if work is not None and event.key in work.records.current:
            return True
        return self._work(event.component).expand(event.key) or event.key in self._moved

    def _impossible(self, event: Event, missing: str) -> JournalCorrupt:
        return corrupt(self._file, None, one_line(f"{type(event).__name__}, but {missing}", limit=200))

    def _ask(self, event: CallAsked) -> None:
        work = self._attached(event)
        work.expand(event.key)
        work.records.apply(event)
        self._list_call(work, work.records.current[event.key], event.arguments)

    def _apply_to_call(self, event: CallStatusChanged | CallSucceeded | CallFailed) -> None:
        work, key = self._find(event), event.key
        work.records.apply(event)
        call, listed = work.records.current[key], work.newest_by_key.get(key)
        if listed is None or listed.record is not call:
            self._list_call(work, call, None)
        if not isinstance(event, CallStatusChanged):
            self._stop_counting_deaths(work.name, key)
        elif event.status.stage == WorkStageStatus.RUNNING:
            self._sent.add((work.name, key))
        elif event.status.stage not in _UNFINISHED:
            self._stop_counting_deaths(work.name, key)

    def _list_call(self, work: WorkHistory, call: Call, arguments: bytes | None) -> None:
        listed = work.newest_by_key[call.key] = CallHistory(work.name, call, arguments)
        work.calls.append(listed)

    def _change_state(self, event: StateWritten | StateReported) -> None:
        if event.component not in self.states:
            raise self._impossible(event, f"there is no component {event.component}")
        self.states[event.component].update(event.values)
        self.written.setdefault(event.component, {}).update(event.values)

    def _begin(self, moment: float) -> None:
        """Fold a start or resume: calls that an earlier process had not ended are lost."""
        self.end_process()
        for work in self.works.values():
            work.place = None
            for call in work.newest_by_key.values():
                if call.lost_at is None and call.record.stage in _UNFINISHED:
                    call.lost_at = self.last_time
        self.begun.append(moment)

    def _detach(self, top: str) -> None:
        """Fold the removal of a component with all below it; the history of its works stays."""
        for work, key in [*self._sent, *self.deaths]:
            if is_below(work, top):
                self._stop_counting_deaths(work, key)
        for name, known in self.works.items():
            if is_below(name, top):
                # Events about these calls may follow, under another name of the work.
                calls = known.newest_by_key.items()
                self._moved.update((key, None) for key, call in calls if not call.record.ended)
                known.forget()
        for by_component in (self.states, self.written, self.identities):
            for name in [name for name in by_component if is_below(name, top)]:
                del by_component[name]

    def _work(self, name: str) -> WorkHistory:
        work = self.works.get(name)
        if work is None:
            work = self.works[name] = WorkHistory(name)
        return work

    # Snapshots.

    def snapshot(self, limit: int) -> Iterator[Event]:
        """Yield events that give this history again, without the calls that need not be listed.

        Kept are the state of all components, all remembered calls with their answers, and of the rest of the
        history the newest.

        Args:
            limit: Number of ended calls that stay listed, and of times that are kept.
        """
        time = self.last_time
        works = {name for name, work in self.works.items() if not work.is_detached}
        for name, state in self.states.items():
            written, is_work = self.written.get(name, {}), name in works
            first = {attribute: value for attribute, value in state.items() if attribute not in written}
            identity = self.identities.get(name, ("", ""))
            yield ComponentAttached(name, time, is_work, identity, first)
            if written:
                yield StateWritten(name, time, written)
            if {**first, **written} != state:  # a later process attached it with other values
                yield ComponentAttached(name, time, is_work, identity, state)
        unlisted = self._find_unlisted(limit)
        for work in self.works.values():
            yield from self._snapshot_work(work, time, unlisted)
        deaths = tuple((work, key, count) for (work, key), count in self.deaths.items())
        yield HistoryKept(
            time,
            tuple(self.begun[-_MAX_KEPT:]),
            tuple(self.times[max(0, len(self.times) - limit) :]),
            tuple(self._moved)[-_MAX_KEPT:],
            tuple(self._sent),
            deaths,
        )

    def _find_unlisted(self, limit: int) -> set[int]:
        """Return the identities of the ended calls that need not stay listed: all but the newest."""
        ended = [call for call in self.calls if call.is_final]
        ended.sort(key=lambda call: call.asked)
        return set(map(id, ended[: max(0, len(ended) - limit)]))

    def _snapshot_work(self, work: WorkHistory, time: float, unlisted: set[int]) -> Iterator[Event]:
        """Yield the calls of a work, then the work; nothing of a removed work without listed calls."""
        calls: list[KeptCall] = []
        listed: set[int] = set()
        for call in work.calls:
            if id(call) not in unlisted:
                record = call.record
                listed.add(id(record))
                is_current = work.records.current.get(record.key) is record
                calls.append(call.to_kept(is_current=is_current, is_listed=True))
        if work.is_detached and not calls:
            return
        yield from work.answers
        answers: list[Answer] = []
        needed = work.records.needed
        for record in work.records.current.values():
            if id(record) in listed or (record.ended and record.answered and record not in needed):
                continue
            answer = record.to_answer() if record is not work.records.newest else None
            if answer is not None:
                answers.append(answer)
            else:
                calls.append(record.to_kept(record.arguments or None, None, is_current=True, is_listed=False))
        for start in range(0, len(answers), _CALLS_PER_EVENT):
            columns = zip(*answers[start : start + _CALLS_PER_EVENT], strict=True)
            yield AnswersKept(work.name, time, *columns)
        for start in range(0, len(calls), _CALLS_PER_EVENT):
            yield CallsKept(work.name, time, tuple(calls[start : start + _CALLS_PER_EVENT]))
        statuses = tuple(work.statuses[-_MAX_KEPT:])
        yield WorkKept(
            work.name,
            time,
            work.identity,
            work.is_detached,
            work.num_calls - len(listed),
            *work.records.to_kept(),
            statuses,
        )
        if work.place is not None and not work.is_detached:
            yield ProcessStarted(work.name, work.place_since, work.place)

    def _restore(self, event: HistoryKept | CallsKept | AnswersKept | WorkKept) -> None:
        """Fold an event of a snapshot."""
        if isinstance(event, HistoryKept):
            self.begun, self.times = list(event.begun), list(event.times)
            self._moved, self._sent = dict.fromkeys(event.moved), set(event.sent)
            self.deaths = {(work, key): count for work, key, count in event.deaths}
            return
        work = self._work(event.component)
        if isinstance(event, AnswersKept) and self._is_lazy:
            work.add_answers(event)
            return
        work.records.apply(event)
        if isinstance(event, WorkKept):
            work.identity, work.is_detached = event.identity, event.is_detached
            work.num_unlisted, work.statuses = event.num_unlisted, list(event.statuses)
        elif isinstance(event, CallsKept):
            for kept in event.calls:
                if kept.is_listed:
                    call = work.records.current[kept.key] if kept.is_current else Call.from_kept(kept)
                    listed = CallHistory(work.name, call, kept.arguments)
                    listed.lost_at = kept.lost_at
                    work.calls.append(listed)
                    if kept.is_current:
                        work.newest_by_key[kept.key] = listed


def fold(events: Iterable[Event], file: str = FILE_NAME, *, is_lazy: bool = False) -> RunHistory:
    """Return the history that the events of a run give; see `RunHistory`."""
    history = RunHistory(file, is_lazy=is_lazy)
    with collector_paused():
        for event in events:
            history.apply(event)
    return history


@contextmanager
def collector_paused() -> Iterator[None]:
    """Collect no garbage while many events are folded.

    All objects that are made by that stay, so a collection would only traverse them again and again.
    """
    is_collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if is_collecting:
            gc.enable()


def fold_entries(entries: Iterable[bytes], file: str, *, is_lazy: bool = False) -> RunHistory:
    """Return the history that the entries of a journal give.

    Args:
        entries: All entries of the journal, in order.
        file: Absolute path of the journal: big values are in its folder, and errors name it.
        is_lazy: As for `RunHistory`.

    Raises:
        JournalVersion: An event is of an unknown kind, or has unknown fields.
        JournalCorrupt: An event does not follow from those before it, or the file of a value is missing.
    """
    return fold(decode_events(entries, file), file, is_lazy=is_lazy)


def read_history(path: str) -> RunHistory:
    """Return the history of a run up to now.

    Args:
        path: Absolute path of its folder.

    Raises:
        NothingToResume: It has no journal.
        JournalError: The journal is damaged, of another version or another user, or can't be read.
    """
    history = _read_history(path)
    try:
        history.check_values()
    except JournalCorrupt:  # the app may have removed it since: by now, its journal says so
        history = _read_history(path)
        history.check_values()
    return history


def _read_history(path: str) -> RunHistory:
    return fold_entries(read_entries(path), os.path.join(path, FILE_NAME), is_lazy=True)
