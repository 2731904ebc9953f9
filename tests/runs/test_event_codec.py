"""Events become records and events again; what the codec does not know is refused, never dropped."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import get_args

import pytest

from lightning_lite.engine.history import fold, read_history
from lightning_lite.engine.replay import Replay
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
from lightning_lite.runs.event_codec import decode_events, encode_event
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.records import Record
from lightning_lite.status import WorkStatus

RUNNING = WorkStatus("running", 3.0, count=1)
FAILED = WorkStatus("failed", 4.0, "user_exception", "no good", 1, "Traceback ...")

EVENTS: list[Event] = [
    RunBegun(1.0),
    ComponentAttached("root", 1.0, False, ("app.py", "Root"), {"turn": b"I0"}),
    ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {}),
    WorkStatusChanged("root.w", 1.5, WorkStatus("started", 1.5)),
    StateWritten("root", 2.0, {"turn": b"I1"}),
    CallAsked("root.w", "k", 2.0, 1, b"arguments"),
    CallAsked("root.w", "big", 2.0, 2, None),
    CallStatusChanged("root.w", "k", 3.0, 1, RUNNING),
    StateReported("root.w", 3.5, {"loss": b"F0.5"}),
    CallSucceeded("root.w", "k", 4.0, b"the value"),
    CallStatusChanged("root.w", "big", 4.0, 2, FAILED),
    CallFailed("root.w", "big", 4.0, Failure("user_exception", "no good", "Traceback ...", b"error", True)),
    CallSurvived("root.w", "big", 4.0),
    AnswerUsed("root.w", "k", 5.0),
    ScheduleFired("root: schedule 'hourly'", 5.0),
    ComponentDetached("root.w", 6.0),
]


def test_there_is_an_example_of_each_event():
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_an_event_comes_back_as_it_was(event: Event):
    assert list(decode_events([encode_event(event)], "journal.db")) == [event]


def with_another_field(record: Record) -> Record:
    rest = pickle.loads(record.data) if record.data else ()
    return record._replace(data=pickle.dumps((*rest, "one more")))


def without_a_field(record: Record) -> Record:
    return record._replace(data=pickle.dumps(pickle.loads(record.data)[:-1]))


def with_a_number_for_a_field(record: Record) -> Record:
    return record._replace(data=pickle.dumps((*pickle.loads(record.data)[:-1], 7.5)))


def with_another_kind(record: Record) -> Record:
    return record._replace(kind=f"{record.kind}Again")


# The value of a call is the user's: any bytes are one.
HAS_FIELDS = [event for event in EVENTS if not isinstance(event, CallSucceeded)]
HAS_OWN_FIELDS = [event for event in HAS_FIELDS if encode_event(event).data]


@pytest.mark.parametrize(
    ("change", "event"),
    [
        *((with_another_kind, event) for event in EVENTS),
        *((with_another_field, event) for event in HAS_FIELDS),
        *((without_a_field, event) for event in HAS_OWN_FIELDS),
        *((with_a_number_for_a_field, event) for event in HAS_OWN_FIELDS),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_a_record_that_is_not_known_is_refused_by_name(change, event: Event):
    record = change(encode_event(event))

    with pytest.raises(
        JournalVersion, match=f"Unknown record in the journal '/runs/1/journal.db': '{record.kind}'"
    ):
        list(decode_events([record], "/runs/1/journal.db"))


@pytest.mark.parametrize("change", [with_another_field, with_another_kind])
@pytest.mark.parametrize("position", range(len(EVENTS)))
def test_no_run_with_an_unknown_record_is_resumed_or_shown(tmp_path: Path, change, position: int):
    """If an unknown record were dropped, a completed call could be run again."""
    if isinstance(EVENTS[position], CallSucceeded):
        change = with_another_kind
    records = [encode_event(event) for event in EVENTS]
    records[position] = change(records[position])
    journal = Journal.create(str(tmp_path), "app")
    for record in records:
        journal.append(record)
    journal.close()

    with pytest.raises(JournalVersion):
        read_history(str(tmp_path))
    journal = Journal.open(str(tmp_path), "app")
    with pytest.raises(JournalVersion):
        Replay("run", decode_events(journal.records(), journal.path))
    journal.close()


def test_the_state_at_the_start_is_in_the_history_and_not_taken_over_by_a_resume():
    history = fold(EVENTS[:5])

    assert history.states == {"root": {"turn": b"I1"}, "root.w": {}}
    assert history.written == {"root": {"turn": b"I1"}}
