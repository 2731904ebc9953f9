"""Encodes the events of a run as records of its journal, and decodes them.

`decode_events` refuses a record of an unknown kind, an unknown or malformed field, and an event about a
component or a call that no earlier event mentions. If such a record were skipped, a resumed app could run a
completed call again.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable, Iterator
from types import NoneType
from typing import Any

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
    ProcessStarted,
    RunBegun,
    ScheduleFired,
    StateReported,
    StateWritten,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.places import Place
from lightning_lite.runs.database import VERSION
from lightning_lite.runs.event_order import check_order
from lightning_lite.runs.records import Record
from lightning_lite.runs.safe_unpickle import UNPICKLING_FAILURES, unpack_plain
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.text import one_line

_PROTOCOL = 5

#: Kind of a record that holds a list of events.
_EVENTS = "events"

#: Kind of a record that holds the pickled value of a call: the journal stores a big one in a separate file.
_SUCCEEDED = CallSucceeded.__name__

_Check = Callable[[Any], bool]


def encode_events(events: Iterable[Event]) -> Iterator[Record]:
    """Yield the records of events: one for consecutive events, and one for each value of a call."""
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
        records: All records of the journal.
        file: Absolute path of the journal, for the error.

    Raises:
        JournalVersion: A record or an event is of an unknown kind, or has unknown fields.
        JournalCorrupt: An event is about a component or a call that no earlier event mentions.
    """
    return check_order(_decode(records, file), file)


def _decode(records: Iterable[Record], file: str) -> Iterator[Event]:
    for record in records:
        if record.kind == _SUCCEEDED:
            yield CallSucceeded(record.component, record.key, record.time, record.data)
            continue
        if record.kind != _EVENTS:
            raise _unknown(file, f"kind {record.kind!r}")
        try:
            rows = unpack_plain(record.load())
        except UNPICKLING_FAILURES as error:
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
    kind = type(event)
    if kind in _NESTED:
        nested: Any = event[-1]
        return kind.__name__, *event[:-1], tuple(nested)
    if kind in _FIELDS:
        return kind.__name__, *event
    raise TypeError(f"an event of an unknown kind: {event!r}")


def _from_row(row: Any) -> Event | None:
    """Return the event of `_to_row`, or `None` if this version does not know its kind or its fields."""
    if type(row) is not tuple or not row or type(row[0]) is not str:
        return None
    kind = _KINDS.get(row[0])
    if kind is None or not _FIELDS[kind](row[1:]):
        return None
    fields = row[1:]
    if kind in _NESTED:
        fields = (*fields[:-1], _NESTED[kind](*fields[-1]))
    return kind(*fields)


def _of_type(*types: type) -> _Check:
    """Return a check for exactly these types: `True` is not a number, and a list is not a tuple."""
    return lambda value: type(value) in types


def _fields(*checks: _Check) -> _Check:
    """Return a check for a tuple with exactly these fields."""

    def check(values: Any) -> bool:
        return (
            type(values) is tuple
            and len(values) == len(checks)
            and all(fits(value) for fits, value in zip(checks, values, strict=True))
        )

    return check


def _is_encoded_state(value: Any) -> bool:
    return type(value) is dict and all(
        type(name) is str and type(encoded) is bytes for name, encoded in value.items()
    )


_STAGES = frozenset(stage for name, stage in vars(WorkStageStatus).items() if name.isupper())


def _is_stage(value: Any) -> bool:
    return type(value) is str and value in _STAGES


_TEXT, _TEXT_OR_NONE = _of_type(str), _of_type(str, NoneType)
_TIME, _NUMBER, _FLAG = _of_type(float), _of_type(int), _of_type(bool)
_FLAG_OR_NONE, _BYTES_OR_NONE = _of_type(bool, NoneType), _of_type(bytes, NoneType)

#: The fields of `Place`, `WorkStatus` and `Failure`.
_PLACE = _fields(_TEXT, _NUMBER)
_STATUS = _fields(_is_stage, _TIME, _TEXT_OR_NONE, _TEXT, _NUMBER, _TEXT)
_FAILURE = _fields(_TEXT, _TEXT, _TEXT, _BYTES_OR_NONE, _FLAG_OR_NONE)

#: The fields of each event that is stored in a list of events, in the order of its class.
_FIELDS: dict[type[Event], _Check] = {
    RunBegun: _fields(_TIME),
    ComponentAttached: _fields(_TEXT, _TIME, _FLAG, _fields(_TEXT, _TEXT), _is_encoded_state),
    ComponentDetached: _fields(_TEXT, _TIME),
    ScheduleFired: _fields(_TEXT, _TIME),
    StateWritten: _fields(_TEXT, _TIME, _is_encoded_state),
    StateReported: _fields(_TEXT, _TIME, _is_encoded_state),
    ProcessStarted: _fields(_TEXT, _TIME, _PLACE),
    WorkStatusChanged: _fields(_TEXT, _TIME, _STATUS),
    CallAsked: _fields(_TEXT, _TEXT, _TIME, _NUMBER, _BYTES_OR_NONE),
    CallStatusChanged: _fields(_TEXT, _TEXT, _TIME, _NUMBER, _STATUS),
    CallFailed: _fields(_TEXT, _TEXT, _TIME, _FAILURE),
    CallSurvived: _fields(_TEXT, _TEXT, _TIME),
    AnswerUsed: _fields(_TEXT, _TEXT, _TIME),
}

_KINDS = {kind.__name__: kind for kind in _FIELDS}

#: The events whose last field is a named tuple, which is stored as a plain one.
_NESTED: dict[type[Event], type[Place | WorkStatus | Failure]] = {
    ProcessStarted: Place,
    WorkStatusChanged: WorkStatus,
    CallStatusChanged: WorkStatus,
    CallFailed: Failure,
}


def _unknown(file: str, what: str) -> JournalVersion:
    return JournalVersion(
        f"Unknown record in the journal {file!r}: {one_line(what, limit=200)}. Another version of "
        "lightning_lite wrote it: resume with that version, or start a new run.",
        file=file,
        found=VERSION,
        known=VERSION,
    )
