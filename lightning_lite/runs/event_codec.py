"""Encodes the events of a run as entries of its journal, and decodes them.

`decode_events` refuses an event of an unknown kind, and an unknown or malformed field. If such an event were
skipped, a resumed app could run a completed call again.
"""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterable, Iterator
from itertools import product
from types import NoneType
from typing import Any, NamedTuple

from lightning_lite.errors import JournalVersion
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
)
from lightning_lite.harmless_text import one_line
from lightning_lite.messages import Failure
from lightning_lite.process_places import Place
from lightning_lite.runs.journal_format import VERSION
from lightning_lite.runs.journal_values import INLINE_LIMIT, JournalValue
from lightning_lite.runs.safe_unpickle import UNPICKLING_FAILURES, unpack_plain
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.values.pickling import is_reference

_PROTOCOL = 5

#: Makes an event of fields that were checked: calling its class would count them again.
_make: Callable[[type[Any], Iterable[Any]], Any] = tuple.__new__

#: Stores a big value, and returns the file.
KeepValue = Callable[[bytes], JournalValue]


def encode_events(events: Iterable[Event], keep_value: KeepValue) -> bytes:
    """Return the entry for events; empty if there are none.

    Args:
        events: The events, in order.
        keep_value: Stores a value of more than `INLINE_LIMIT` bytes in a file of its own.
    """
    rows: list[tuple[Any, ...]] = []
    for event in events:
        kind = type(event)
        form = _FORM_OF_KIND.get(kind)
        if form is None:
            raise TypeError(f"an event of an unknown kind: {event!r}")
        rows.append(
            (kind.__name__, *(event if form.to_fields is None else form.to_fields(event, keep_value)))
        )
    return pickle.dumps(rows, _PROTOCOL) if rows else b""


def decode_events(entries: Iterable[bytes], file: str) -> Iterator[Event]:
    """Yield the events of a journal, in order.

    Args:
        entries: All entries of the journal.
        file: Absolute path of the journal: big values are in its folder, and errors name it.

    Raises:
        JournalVersion: An event is of an unknown kind, or has unknown fields.
        JournalCorrupt: A value that should be in a file does not refer to one.
    """
    for entry in entries:
        yield from decode_entry(entry, file)


def decode_entry(entry: bytes, file: str) -> list[Event]:
    """Return the events of one entry of a journal, in order; see `decode_events` for errors.

    Args:
        entry: The entry.
        file: Absolute path of the journal.
    """
    try:
        rows = unpack_plain(entry)
    except UNPICKLING_FAILURES as error:
        raise _unknown(file, f"{type(error).__name__}: {error}") from error
    if type(rows) is not list:
        raise _unknown(file, repr(rows))
    events = []
    for row in rows:
        event = _from_row(row, file)
        if event is None:
            raise _unknown(file, repr(row))
        events.append(event)
    return events


def _from_row(row: Any, file: str) -> Event | None:
    """Return the event of a row, or `None` if this version does not know its kind or its fields."""
    if type(row) is not tuple or not row or type(row[0]) is not str:
        return None
    form, fields = _FORM_OF_NAME.get(row[0]), row[1:]
    if form is None or tuple(map(type, fields)) not in form.types:
        return None
    if form.from_fields is not None:
        made = form.from_fields(fields, file)
        return None if made is None else _make(form.kind, made)
    return _make(form.kind, fields)  # type: ignore[no-any-return]


def _all_of(values: Iterable[Any], *types: type) -> bool:
    return set(map(type, values)) <= {*types}


def _types(*fields: type | tuple[type, ...]) -> frozenset[tuple[type, ...]]:
    """Return all types that the fields of an event may have: `True` is not a number, a list not a tuple."""
    return frozenset(product(*(field if isinstance(field, tuple) else (field,) for field in fields)))


_Fields = tuple[Any, ...]

_STAGES = frozenset(stage for name, stage in vars(WorkStageStatus).items() if name.isupper())
_STATUS = _types(str, float, (str, NoneType), str, int, str)
_FAILURE = _types(str, str, str, (bytes, NoneType), (bool, NoneType))
_CALL = _types(
    str, int, int, bool, bool, bool, bool, (bytes, tuple, NoneType), (tuple, NoneType), (bytes, NoneType),
    tuple, (float, NoneType),
)  # fmt: skip


def _to_value(value: bytes | StoredValue, keep_value: KeepValue) -> Any:
    """Return a value as a row holds it: its bytes, or a tuple with the reference to its file."""
    if isinstance(value, JournalValue):
        return (value.reference,)
    data = value if isinstance(value, bytes) else value.load()
    is_inline = len(data) <= INLINE_LIMIT or is_reference(data)
    return data if is_inline else (keep_value(data).reference,)


def _from_value(value: Any, file: str) -> bytes | JournalValue | None:
    if type(value) is bytes:
        return value
    if type(value) is not tuple or tuple(map(type, value)) != (bytes,):
        return None
    return JournalValue.from_reference(os.path.dirname(file), value[0])


def _from_status(value: Any) -> WorkStatus | None:
    if type(value) is tuple and tuple(map(type, value)) in _STATUS and value[0] in _STAGES:
        return _make(WorkStatus, value)  # type: ignore[no-any-return]
    return None


def _from_statuses(values: tuple[Any, ...]) -> tuple[WorkStatus, ...] | None:
    for value in values:
        if type(value) is not tuple or tuple(map(type, value)) not in _STATUS or value[0] not in _STAGES:
            return None
    return tuple([_make(WorkStatus, value) for value in values])


def _from_failure(value: Any) -> Failure | None:
    if type(value) is tuple and tuple(map(type, value)) in _FAILURE:
        return Failure(*value)
    return None


def _to_call(call: KeptCall, keep_value: KeepValue) -> tuple[Any, ...]:
    value = None if call.value is None else _to_value(call.value, keep_value)
    failure = None if call.failure is None else tuple(call.failure)
    statuses = tuple(map(tuple, call.statuses))
    return (*call[:7], value, failure, call.arguments, statuses, call.lost_at)


def _from_call(row: Any, file: str) -> KeptCall | None:
    if type(row) is not tuple or tuple(map(type, row)) not in _CALL:
        return None
    value = None if row[7] is None else _from_value(row[7], file)
    failure = None if row[8] is None else _from_failure(row[8])
    statuses = _from_statuses(row[10])
    if (value is None) != (row[7] is None) or (failure is None) != (row[8] is None) or not statuses:
        return None
    fields = (*row[:7], value, failure, row[9], statuses, row[11])
    return _make(KeptCall, fields)  # type: ignore[no-any-return]


def _check_states(fields: _Fields, _: str) -> _Fields | None:
    """Check that the last field, the state of a component, consists of texts and bytes."""
    return fields if _all_of(fields[-1], str) and _all_of(fields[-1].values(), bytes) else None


def _check_component(fields: _Fields, file: str) -> _Fields | None:
    return _check_states(fields, file) if tuple(map(type, fields[3])) == (str, str) else None


def _make_place(fields: _Fields, _: str) -> _Fields | None:
    place = fields[-1]
    if len(place) != 2 or tuple(map(type, place)) != (str, int):
        return None
    return (*fields[:-1], Place(*place))


def _make_status(fields: _Fields, _: str) -> _Fields | None:
    status = _from_status(fields[-1])
    return None if status is None else (*fields[:-1], status)


def _make_failure(fields: _Fields, _: str) -> _Fields | None:
    failure = _from_failure(fields[-1])
    return None if failure is None else (*fields[:-1], failure)


def _make_value(fields: _Fields, file: str) -> _Fields | None:
    value = _from_value(fields[-1], file)
    return None if value is None else (*fields[:-1], value)


def _make_calls(fields: _Fields, file: str) -> _Fields | None:
    calls = tuple(call for row in fields[2] if (call := _from_call(row, file)) is not None)
    return (*fields[:2], calls) if len(calls) == len(fields[2]) else None


def _make_answers(fields: _Fields, file: str) -> _Fields | None:
    *columns, values = fields[2:]
    fits = all(_all_of(column, kind) for column, kind in zip(columns, (str, int, int, float), strict=True))
    if not fits or len({*map(len, fields[2:])}) != 1:
        return None
    if not _all_of(values, bytes):
        values = tuple(_from_value(value, file) for value in values)
    return None if None in values else (*fields[:-1], values)


def _make_work(fields: _Fields, _: str) -> _Fields | None:
    identity, counts = fields[2], fields[5]
    status, statuses = _from_status(fields[8]), _from_statuses(fields[9])
    if identity is not None and tuple(map(type, identity)) != (str, str):
        return None
    if len(counts) != 5 or not _all_of(counts, int) or status is None or statuses is None:
        return None
    return (*fields[:8], status, statuses)


def _make_history(fields: _Fields, _: str) -> _Fields | None:
    _, begun, times, moved, sent, deaths = fields
    if not (_all_of(begun, float) and _all_of(times, float) and _all_of(moved, str)):
        return None
    for rows, types in ((sent, (str, str)), (deaths, (str, str, int))):
        if not _all_of(rows, tuple) or any(tuple(map(type, row)) != types for row in rows):
            return None
    return fields


def _split_last(event: Any, _: KeepValue) -> _Fields:
    return (*event[:-1], tuple(event[-1]))


class _Form(NamedTuple):
    """The form of one kind of events as a row.

    Attributes:
        kind: The class of the events.
        types: The types that the fields of a row may have.
        from_fields: Makes the fields of the event from the fields of the row, or returns `None` if they are
            malformed; `None` if they are the same.
        to_fields: Makes the fields of the row from the event; `None` if they are the same.
    """

    kind: type[Event]
    types: frozenset[tuple[type, ...]]
    from_fields: Callable[[_Fields, str], _Fields | None] | None = None
    to_fields: Callable[[Any, KeepValue], _Fields] | None = None


_FORMS = (
    _Form(RunBegun, _types(float)),
    _Form(ComponentAttached, _types(str, float, bool, tuple, dict), _check_component),
    _Form(ComponentDetached, _types(str, float)),
    _Form(ScheduleFired, _types(str, float)),
    _Form(StateWritten, _types(str, float, dict), _check_states),
    _Form(StateReported, _types(str, float, dict), _check_states),
    _Form(ProcessStarted, _types(str, float, tuple), _make_place, _split_last),
    _Form(WorkStatusChanged, _types(str, float, tuple), _make_status, _split_last),
    _Form(CallAsked, _types(str, str, float, int, (bytes, NoneType))),
    _Form(CallStatusChanged, _types(str, str, float, int, tuple), _make_status, _split_last),
    _Form(
        CallSucceeded,
        _types(str, str, float, (bytes, tuple)),
        _make_value,
        lambda event, keep: (*event[:-1], _to_value(event.value, keep)),
    ),
    _Form(CallFailed, _types(str, str, float, tuple), _make_failure, _split_last),
    _Form(CallSurvived, _types(str, str, float)),
    _Form(AnswerUsed, _types(str, str, float)),
    _Form(HistoryKept, _types(float, tuple, tuple, tuple, tuple, tuple), _make_history),
    _Form(
        CallsKept,
        _types(str, float, tuple),
        _make_calls,
        lambda event, keep: (*event[:2], tuple(_to_call(call, keep) for call in event.calls)),
    ),
    _Form(
        AnswersKept,
        _types(str, float, tuple, tuple, tuple, tuple, tuple),
        _make_answers,
        lambda event, keep: (*event[:-1], tuple(_to_value(one, keep) for one in event.values)),
    ),
    _Form(
        WorkKept,
        _types(str, float, (tuple, NoneType), bool, int, tuple, bool, str, tuple, tuple),
        _make_work,
        lambda event, _: (*event[:8], tuple(event.status), tuple(map(tuple, event.statuses))),
    ),
)

_FORM_OF_KIND = {form.kind: form for form in _FORMS}
_FORM_OF_NAME = {form.kind.__name__: form for form in _FORMS}


def _unknown(file: str, what: str) -> JournalVersion:
    return JournalVersion(
        f"Unknown record in the journal {file!r}: {one_line(what, limit=200)}. Another version of "
        "lightning_lite wrote it: resume with that version, or start a new run.",
        file=file,
        found=VERSION,
        known=VERSION,
    )
