"""How events become records of the journal, and events again.

A record of which the codec does not know the kind, or one of whose fields, is refused by name. If it were
dropped, a resumed app could run a completed call again.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import Any, assert_never

from lightning_lite.errors import JournalVersion
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
    RunBegun,
    ScheduleFired,
    StateReported,
    StateWritten,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.runs.database import VERSION
from lightning_lite.runs.records import Record
from lightning_lite.runs.safe_unpickle import unpack_plain
from lightning_lite.status import WorkStatus
from lightning_lite.text import one_line

_PROTOCOL = 5

#: Kind of a record that holds a list of events.
_EVENTS = "events"

#: Kind of a record that holds the pickled value of a call: the journal puts a big one into a file of its own.
_SUCCEEDED = CallSucceeded.__name__


def encode_events(events: Iterable[Event]) -> Iterator[Record]:
    """Yield the records of events: one for all in a row, and one for each value of a call."""
    rows: list[tuple[Any, ...]] = []
    for event in events:
        if type(event) is not CallSucceeded:
            rows.append(_to_row(event))
            continue
        if rows:
            yield Record(_EVENTS, "", "", pickle.dumps(rows, _PROTOCOL))
            rows = []
        value = event.value if isinstance(event.value, bytes) else event.value.load()
        yield Record(_SUCCEEDED, event.component, event.key, value, event.time)
    if rows:
        yield Record(_EVENTS, "", "", pickle.dumps(rows, _PROTOCOL))


def decode_events(records: Iterable[Record], file: str) -> Iterator[Event]:
    """Yield the events of a journal, in order.

    Args:
        records: The records of the journal.
        file: Absolute path of the journal, for the error.

    Raises:
        JournalVersion: A record or an event is of an unknown kind, or has unknown fields.
    """
    for record in records:
        if record.kind == _SUCCEEDED:
            yield CallSucceeded(record.component, record.key, record.time, record.data)
            continue
        if record.kind != _EVENTS:
            raise _unknown(file, f"kind {record.kind!r}")
        try:
            rows = unpack_plain(record.load())
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError) as error:
            raise _unknown(file, f"{type(error).__name__}: {error}") from error
        if type(rows) is not list:
            raise _unknown(file, repr(rows))
        for row in rows:
            event = _from_row(row)
            if event is None:
                raise _unknown(file, repr(row))
            yield event


def _to_row(event: Event) -> tuple[Any, ...]:
    """Return an event as plain data: the name of its class, and its fields."""
    match event:
        case CallStatusChanged() | WorkStatusChanged() | CallFailed():
            return type(event).__name__, *event[:-1], tuple(event[-1])
        case (
            CallAsked()
            | StateReported()
            | StateWritten()
            | AnswerUsed()
            | CallSurvived()
            | ScheduleFired()
            | ComponentAttached()
            | ComponentDetached()
            | RunBegun()
        ):
            return type(event).__name__, *event
        case CallSucceeded():
            raise TypeError("the value of a call has a record of its own")
        case _:
            assert_never(event)


def _from_row(row: Any) -> Event | None:
    """Return the event of `_to_row`, or `None` if this version does not know its kind or its fields."""
    match row:
        case "RunBegun", float():
            return RunBegun(*row[1:])
        case "ComponentAttached", str(), float(), bool(), (str(), str()), dict(state) if _is_encoded(state):
            return ComponentAttached(*row[1:])
        case "ComponentDetached", str(), float():
            return ComponentDetached(*row[1:])
        case "ScheduleFired", str(), float():
            return ScheduleFired(*row[1:])
        case "StateWritten", str(), float(), dict(values) if _is_encoded(values):
            return StateWritten(*row[1:])
        case "StateReported", str(), float(), dict(values) if _is_encoded(values):
            return StateReported(*row[1:])
        case "WorkStatusChanged", str(work), float(time), tuple(status) if _is_status(status):
            return WorkStatusChanged(work, time, WorkStatus(*status))
        case "CallAsked", str(), str(), float(), int(), bytes() | None:
            return CallAsked(*row[1:])
        case "CallStatusChanged", str(work), str(key), float(time), int(number), tuple(status) if _is_status(
            status
        ):
            return CallStatusChanged(work, key, time, number, WorkStatus(*status))
        case "CallFailed", str(work), str(key), float(time), tuple(failure) if _is_failure(failure):
            return CallFailed(work, key, time, Failure(*failure))
        case "CallSurvived", str(), str(), float():
            return CallSurvived(*row[1:])
        case "AnswerUsed", str(), str(), float():
            return AnswerUsed(*row[1:])
    return None


def _is_encoded(values: dict[Any, Any]) -> bool:
    return all(type(name) is str and type(value) is bytes for name, value in values.items())


def _is_status(fields: tuple[Any, ...]) -> bool:
    match fields:
        case str(), float(), str() | None, str(), int(), str():
            return True
    return False


def _is_failure(fields: tuple[Any, ...]) -> bool:
    match fields:
        case str(), str(), str(), bytes() | None, bool() | None:
            return True
    return False


def _unknown(file: str, what: str) -> JournalVersion:
    return JournalVersion(
        f"Unknown record in the journal {file!r}: {one_line(what, limit=200)}. Another version of "
        "lightning_lite wrote it: resume with that version, or begin a new run.",
        file=file,
        found=VERSION,
        known=VERSION,
    )
