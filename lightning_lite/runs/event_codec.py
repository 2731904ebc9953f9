"""How events become records of the journal, and events again.

A record of which the codec does not know the kind, or one of whose fields, is refused by name. If it were
dropped, a resumed app could run a completed call again.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from typing import Any, assert_never, get_args

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


def encode_event(event: Event) -> Record:
    """Return the record of an event."""
    match event:
        case RunBegun():
            return _record(event, "", "", ())
        case ComponentAttached():
            return _record(event, event.component, "", (event.is_work, event.identity, event.state))
        case ComponentDetached() | ScheduleFired():
            return _record(event, event.component, "", ())
        case StateWritten() | StateReported():
            return _record(event, event.component, "", (event.values,))
        case WorkStatusChanged():
            return _record(event, event.component, "", (tuple(event.status),))
        case CallAsked():
            return _record(event, event.component, event.key, (event.number, event.arguments))
        case CallStatusChanged():
            return _record(event, event.component, event.key, (event.number, tuple(event.status)))
        case CallSucceeded():
            # As it is, because the journal puts a big value into a file of its own.
            value = event.value if isinstance(event.value, bytes) else event.value.load()
            return Record("CallSucceeded", event.component, event.key, value, event.time)
        case CallFailed():
            return _record(event, event.component, event.key, (tuple(event.failure),))
        case CallSurvived() | AnswerUsed():
            return _record(event, event.component, event.key, ())
        case _:
            assert_never(event)


def decode_events(records: Iterable[Record], file: str) -> Iterator[Event]:
    """Yield the events of a journal, in order.

    Args:
        records: The records of the journal.
        file: Absolute path of the journal, for the error.

    Raises:
        JournalVersion: A record is of an unknown kind, or has unknown fields.
    """
    for record in records:
        try:
            yield _decode(record)
        except _UnknownRecord as error:
            raise _version_error(record, str(error), file) from None
        except (pickle.UnpicklingError, EOFError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise _version_error(record, f"{type(error).__name__}: {error}", file) from error


class _UnknownRecord(Exception):
    """A record that this version of the package can't read."""


def _record(event: Event, component: str, key: str, rest: tuple[Any, ...]) -> Record:
    data = pickle.dumps(rest, _PROTOCOL) if rest else b""
    return Record(type(event).__name__, component, key, data, event.time)


def _decode(record: Record) -> Event:
    kind, component, key, data, time = record
    if kind == "CallSucceeded":
        return CallSucceeded(component, key, time, data)
    rest = unpack_plain(record.load()) if data else ()
    match kind, rest:
        case "RunBegun", ():
            return RunBegun(time)
        case "ComponentAttached", (bool(is_work), (str(module), str(name)), dict(state)):
            return ComponentAttached(component, time, is_work, (module, name), _encoded(state))
        case "ComponentDetached", ():
            return ComponentDetached(component, time)
        case "ScheduleFired", ():
            return ScheduleFired(component, time)
        case "StateWritten", (dict(values),):
            return StateWritten(component, time, _encoded(values))
        case "StateReported", (dict(values),):
            return StateReported(component, time, _encoded(values))
        case "WorkStatusChanged", (tuple(status),):
            return WorkStatusChanged(component, time, _status(status))
        case "CallAsked", (int(number), (bytes() | None) as arguments):
            return CallAsked(component, key, time, number, arguments)
        case "CallStatusChanged", (int(number), tuple(status)):
            return CallStatusChanged(component, key, time, number, _status(status))
        case "CallFailed", (tuple(failure),):
            return CallFailed(component, key, time, _failure(failure))
        case "CallSurvived", ():
            return CallSurvived(component, key, time)
        case "AnswerUsed", ():
            return AnswerUsed(component, key, time)
        case _:
            raise _UnknownRecord(f"fields {rest!r}" if kind in _KINDS else "unknown kind")


_KINDS = frozenset(kind.__name__ for kind in get_args(Event))


def _encoded(values: dict[Any, Any]) -> dict[str, bytes]:
    if not all(type(name) is str and type(value) is bytes for name, value in values.items()):
        raise _UnknownRecord(f"values {values!r}")
    return values


def _status(fields: tuple[Any, ...]) -> WorkStatus:
    match fields:
        case str(), float(), (str() | None), str(), int(), str():
            return WorkStatus(*fields)
    raise _UnknownRecord(f"status {fields!r}")


def _failure(fields: tuple[Any, ...]) -> Failure:
    match fields:
        case str(), str(), str(), (bytes() | None), (bool() | None):
            return Failure(*fields)
    raise _UnknownRecord(f"failure {fields!r}")


def _version_error(record: Record, what: str, file: str) -> JournalVersion:
    return JournalVersion(
        f"Unknown record in the journal {file!r}: {record.kind!r}, {one_line(what, limit=200)}. Another "
        "version of lightning_lite wrote it: resume with that version, or begin a new run.",
        file=file,
        found=VERSION,
        known=VERSION,
    )
