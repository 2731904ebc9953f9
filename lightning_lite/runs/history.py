"""What has happened in a run, read from its journal: works, their calls, attempts and times, and the states.

For everybody who looks: `status`, `timeline`, pages. It works on runs that have ended, that died and
that go on, changes nothing, holds no lock, and loads no class of the user's.

    history = read_history("/root/runs/20261122-035501123-9f3ac2")
    for work in history.works.values():
        for call in work.calls:
            print(work.name, call.number, call.arguments, call.stage, call.attempts)
"""

from __future__ import annotations

import os
import pickle
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from lightning_lite.errors import JournalError
from lightning_lite.runs import database
from lightning_lite.runs.records import Record, Row, read_frames
from lightning_lite.runs.safe_unpickle import show_arguments, unpack_plain
from lightning_lite.runs.validation import check_content, check_version, look_at_files
from lightning_lite.runs.values import ValueFile
from lightning_lite.runs.write_ahead import Ahead

_ENDS = frozenset({"succeeded", "failed", "stopped"})


class Event(NamedTuple):
    """One thing that happened to a work or to one of its calls, in the words of `WorkStatus`.

    Attributes:
        stage: `pending`, `started`, `running`, `succeeded`, `failed` or `stopped`.
        time: Seconds since 1970.
        reason: Why it failed, or `None`.
        message: One line for people, or "".
        attempt: Number of the attempt, from 1; 0 if it is not about one.
        traceback: The traceback of the user's frames, or "".
    """

    stage: str
    time: float
    reason: str | None = None
    message: str = ""
    attempt: int = 0
    traceback: str = ""


class Attempt(NamedTuple):
    """One attempt of a call.

    Attributes:
        number: From 1.
        began: When it was sent, in seconds since 1970.
        ended: When it had ended; `None` if nobody has written that down.
        outcome: `succeeded`, `failed`, `stopped`, `restarted` if the flow gave the work a new process
            meanwhile, `lost` if the app died meanwhile, or `running`.
        reason: Why it failed, or `None`.
        message: One line for people, or "".
    """

    number: int
    began: float
    ended: float | None
    outcome: str
    reason: str | None
    message: str


class CallHistory:
    """One call.

    Attributes:
        work: Name of the work.
        key: Key of the call.
        number: 1 for the first call of the work.
        events: What happened to it, in order.
        cut: When the app was last heard of before it died, in seconds since 1970, if it died before it took
            note of the end; a resumed app asks for what was lost again, as another call. Else `None`.
    """

    def __init__(self, work: str, key: str, number: int, arguments: bytes | None) -> None:
        self.work = work
        self.key = key
        self.number = number
        self.events: list[Event] = []
        self.cut: float | None = None
        self._packed = arguments
        self._has_value = False

    @property
    def arguments(self) -> str:
        """The arguments as they stand in the flow, shortened; `...` if they are long."""
        return "..." if self._packed is None else show_arguments(self._packed)

    @property
    def asked(self) -> float:
        """When the flow asked for it, in seconds since 1970."""
        return self.events[0].time

    @property
    def stage(self) -> str:
        """What is known last: as in `Event`, or `lost`."""
        if self._has_value:
            return "succeeded"  # the app may have died before it took note of that
        return self.events[-1].stage if self.cut is None else "lost"

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, or was lost."""
        return self.cut is not None or self.stage in _ENDS

    @property
    def message(self) -> str:
        """What there is to say about the last event, or ""."""
        return self.events[-1].message

    @property
    def attempts(self) -> list[Attempt]:
        """What was sent to the process of the work, in order."""
        found: list[Attempt] = []
        for event, after in zip(self.events, (*self.events[1:], None), strict=True):
            if event.stage == "running":
                found.append(self._attempt(event, after))
            elif event.stage == "failed" and (not found or found[-1].number < event.attempt):
                # Its process did not even start.
                found.append(Attempt(event.attempt, event.time, event.time, "failed", *event[2:4]))
        return found

    def _attempt(self, began: Event, after: Event | None) -> Attempt:
        if after is None:
            return Attempt(began.attempt, began.time, None, self.stage, None, "")
        outcome = "restarted" if after.stage == "pending" else after.stage
        return Attempt(began.attempt, began.time, after.time, outcome, after.reason, after.message)


class WorkHistory:
    """One work.

    Attributes:
        name: Its full name.
        identity: Module, or path of the script, and name of its class; `None` if nobody wrote it down.
        events: What happened to its process outside of calls.
        calls: Its calls, in the order in which the flow asked for them.
        is_gone: Whether the flow has taken it out of the tree.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity: tuple[str, str] | None = None
        self.events: list[Event] = []
        self.calls: list[CallHistory] = []
        self.is_gone = False

    @property
    def last(self) -> Event:
        """What happened last, to its newest call or to its process; `not_started` if nothing has."""
        # Of two at the same moment the call counts: a process that has started runs it.
        events = [*(self.calls[-1].events[-1:] if self.calls else ()), *self.events[-1:]]
        return max(events, key=lambda event: event.time, default=Event("not_started", 0.0))


class History:
    """What has happened in one run.

    Attributes:
        path: Folder of the run.
        works: All works that were ever in the tree, by name.
        begun: When a process took up the run, in seconds since 1970: at its start, and at each resume.
        turns: When the app noted a change, in seconds since 1970, as far as it wrote down a time.
        states: Last values of the attributes of flows and works as far as they were written, by component;
            frozen, `state.frozen.thaw` reads them.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self.works: dict[str, WorkHistory] = {}
        self.begun: list[float] = []
        self.turns: list[float] = []
        self.states: dict[str, dict[str, bytes]] = {}
        self._current: dict[tuple[str, str], CallHistory] = {}

    @property
    def calls(self) -> Iterator[CallHistory]:
        """All calls of all works."""
        for work in self.works.values():
            yield from work.calls

    @property
    def last_time(self) -> float:
        """The latest moment that was written down, in seconds since 1970; 0 if none was."""
        return max([*self.begun[-1:], *self.turns[-1:]], default=0.0)

    def replay(self, records: Iterable[Record]) -> None:
        """Take more records, in order."""
        for record in records:
            match record.kind:
                case "begun":
                    self._begin(unpack_plain(record.load()))
                case "state":
                    self.states.setdefault(record.component, {}).update(unpack_plain(record.load()))
                case "value":
                    call = self._current.get((record.component, record.key))
                    if call is not None:
                        call._has_value = True
                case "turn":
                    events = unpack_plain(record.load())
                    for event in events:
                        self._replay_event(event)
                    if last := max(map(_time_of, events), default=0.0):
                        self.turns.append(last)

    def _begin(self, moment: float) -> None:
        """A process takes up the run; what an earlier one had under way is lost."""
        for call in self._current.values():
            if call.cut is None and call.events[-1].stage not in _ENDS:
                call.cut = self.last_time
        self.begun.append(moment)

    def _replay_event(self, event: tuple[Any, ...]) -> None:
        """Take one event of `core.facts.Facts`."""
        match event:
            case "asked", work, key, number, wall, arguments:
                self._enter(work, key, number, arguments).events.append(Event("pending", wall))
            case "status", work, "", _, fields:
                self._work(work).events.append(Event(*fields))
            case "status", work, key, number, fields:
                known = self._current.get((work, key))
                if known is None or known.number != number:  # asked for before the work got this name
                    known = self._enter(work, key, number, None)
                known.events.append(Event(*fields))
            case "entered", work, identity:
                entered = self._work(work)
                entered.identity, entered.is_gone = identity, False
            case "left", name:
                self._forget(name)
            case "wrote", name, values:
                self.states.setdefault(name, {}).update(values)

    def _enter(self, work: str, key: str, number: int, arguments: bytes | None) -> CallHistory:
        """Take a call that is new."""
        call = self._current[work, key] = CallHistory(work, key, number, arguments)
        self._work(work).calls.append(call)
        return call

    def _forget(self, top: str) -> None:
        """Take a component out of the tree, with all below it; what it did stays known."""
        for work, key in [called for called in self._current if f"{called[0]}.".startswith(f"{top}.")]:
            del self._current[work, key]
        for name, known in self.works.items():
            known.is_gone = known.is_gone or f"{name}.".startswith(f"{top}.")
        for name in [name for name in self.states if f"{name}.".startswith(f"{top}.")]:
            del self.states[name]

    def _work(self, name: str) -> WorkHistory:
        return self.works.setdefault(name, WorkHistory(name))


def _time_of(event: tuple[Any, ...]) -> float:
    """Return when an event happened, in seconds since 1970; 0 where that is not written down."""
    match event:
        case "asked", _, _, _, time, _:
            return float(time)
        case "status", _, _, _, (_, time, *_):
            return float(time)
    return 0.0


def read_history(path: str) -> History:
    """Return what has happened in a run so far.

    Args:
        path: Absolute path of its folder.

    Raises:
        NothingToResume: It has no journal.
        JournalError: The journal is damaged, of another version or another user, or can't be read.
    """
    file = os.path.join(path, "journal.db")
    for _ in look_at_files(file):
        pass  # what is no regular file is refused before SQLite opens it
    history = History(path)
    try:
        history.replay(_read(path, file))
    except database.FAILURES as error:
        database.refuse(error, file)
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
        raise JournalError(
            f"the journal {file!r} holds something that this lightning_lite does not know: {error}",
            file=file,
        ) from error
    return history


def _read(path: str, file: str) -> list[Record]:
    """Return the records of all whole transactions, after a look at each."""
    connection = database.connect_to_look(file)
    try:
        connection.execute("BEGIN")  # one and the same moment for all that is read
        end = check_content(connection, file, _identity(connection, file))
        rows = [row for _, frames in connection.execute(database.READ) for row in read_frames(frames)]
        rows += Ahead(file).read(end.sequence, end.checksum)
        return [_record(path, row) for row in rows]
    finally:
        connection.close()


def _identity(connection: sqlite3.Connection, file: str) -> bytes:
    """Return which app has written a journal; whoever looks takes any."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != database.APPLICATION_ID:
        raise database.corrupt(file, None, "it is something else than a journal")
    check_version(file, *connection.execute("PRAGMA user_version").fetchone())
    heads = connection.execute("SELECT identity FROM journal").fetchall()
    return heads[0][0] if heads and type(heads[0][0]) is bytes else b""


def _record(path: str, row: Row) -> Record:
    data = ValueFile.from_reference(path, row.sequence, row.data) if row.in_file else row.data
    return Record(row.kind, row.component, row.key, data)
