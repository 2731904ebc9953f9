"""Events become records and events again; an unknown record is refused, never dropped."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn, get_args

import pytest

from lightning_lite.engine.history import fold, fold_entries, read_history
from lightning_lite.engine.replay import Replay
from lightning_lite.errors import JournalCorrupt, JournalVersion
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
    WorkKept,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.process_places import Place
from lightning_lite.runs import event_codec
from lightning_lite.runs.event_codec import decode_events
from lightning_lite.runs.journal import Journal
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
    ProcessStarted("root.w", 1.5, Place("box", 12)),
    ComponentDetached("root.w", 6.0),
    HistoryKept(6.0, (1.0,), (1.5, 2.0), ("k",), (("root.w", "k"),), (("root.w", "k", 2),)),
    AnswersKept("root.w", 6.0, ("a", "b"), (3, 4), (1, 1), (5.0, 5.5), (b"one", b"other")),
    CallsKept(
        "root.w",
        6.0,
        (
            KeptCall("k", 1, 1, True, False, True, True, b"v", None, b"arguments", (RUNNING, FAILED), None),
            KeptCall(
                "f", 2, 1, True, False, False, True, None, Failure("crashed", "gone"), None, (FAILED,), 2.0
            ),
        ),
    ),
    WorkKept(
        "root.w",
        6.0,
        ("app.py", "W"),
        False,
        5,
        (4, 1, 3, 0, 1),
        True,
        "k",
        FAILED,
        (WorkStatus("started", 1.0),),
    ),
    WorkStatusChanged("root.w", 7.0, WorkStatus("failed", 7.0, "lost", "node n2 is dead")),
]


def encode_events(events: Iterable[Event]) -> list[bytes]:
    """Return the entries of events, one for each."""
    return [event_codec.encode_events([event], refuse_value) for event in events]


def refuse_value(data: bytes) -> NoReturn:
    raise AssertionError("no value is that big")


def test_there_is_an_example_of_each_event():
    assert {type(event) for event in EVENTS} == set(get_args(Event))


@pytest.mark.parametrize("position", range(len(EVENTS)), ids=lambda n: type(EVENTS[n]).__name__)
def test_an_event_comes_back_as_it_was(position: int):
    event = EVENTS[position]

    *_, decoded = decode_events(encode_events(EVENTS[: position + 1]), "journal.log")

    assert decoded == event
    assert type(decoded) is type(event)
    assert [type(field) for field in decoded] == [type(field) for field in event]


def test_events_of_a_step_are_one_entry_and_come_back_in_their_order():
    entry = event_codec.encode_events(EVENTS, refuse_value)

    assert list(decode_events([entry], "journal.log")) == EVENTS
    assert event_codec.encode_events([], refuse_value) == b""


def with_another_field(row: tuple) -> tuple:
    return (*row, "one more")


def without_a_field(row: tuple) -> tuple:
    return row[:-1]


def with_a_list_for_a_field(row: tuple) -> tuple:
    return (*row[:-1], [])


def with_a_tuple_for_a_field(row: tuple) -> tuple:
    return (row[0], (), *row[2:])


def as_a_list(row: tuple) -> list:
    return [*row]


def with_a_text_for_its_last_field(row: tuple) -> tuple:
    return (*row[:-1], f"{row[-1]}")


def with_another_kind(row: tuple) -> tuple:
    return (f"{row[0]}Again", *row[1:])


def changed(event: Event, change) -> bytes:
    """Return the entry of an event, changed as another version of the codec could write it."""
    (entry,) = encode_events([event])
    (row,) = pickle.loads(entry)
    return pickle.dumps([change(row)])


CHANGES = [
    with_another_field,
    without_a_field,
    with_a_list_for_a_field,
    with_a_tuple_for_a_field,
    with_a_text_for_its_last_field,
    as_a_list,
    with_another_kind,
]


@pytest.mark.parametrize("change", CHANGES)
def test_a_record_that_is_not_known_is_refused_by_name(change):
    for event in EVENTS:
        refusal = rf"Unknown record in the journal '/runs/1/journal\.log': .*{type(event).__name__}"
        with pytest.raises(JournalVersion, match=refusal):
            pytest.fail(f"decoded: {list(decode_events([changed(event, change)], '/runs/1/journal.log'))}")


@pytest.mark.parametrize(
    "data", [b"", b"nonsense", pickle.dumps({}), pickle.dumps(["text"]), pickle.dumps([print])]
)
def test_a_record_of_events_that_holds_something_else_is_refused(data: bytes):
    with pytest.raises(JournalVersion, match="Unknown record in the journal"):
        list(decode_events([data], "/runs/1/journal.log"))


@pytest.mark.parametrize("position", range(len(EVENTS)))
def test_no_run_with_an_unknown_record_is_resumed_or_shown(tmp_path: Path, position: int):
    """If an unknown record were dropped, a completed call could be run again."""
    change = CHANGES[position % len(CHANGES)]
    journal = Journal.create(str(tmp_path), "app")
    for entry in encode_events(EVENTS[:position]):
        journal.write(entry)
    journal.write(changed(EVENTS[position], change))
    for entry in encode_events(EVENTS[position + 1 :]):
        journal.write(entry)
    journal.close()

    with pytest.raises(JournalVersion):
        read_history(str(tmp_path))
    journal = Journal.open(str(tmp_path), "app")
    with pytest.raises(JournalVersion):
        Replay("run", fold_entries(journal.entries(), journal.path))
    journal.close()


@pytest.mark.parametrize(
    "row",
    [
        ("CallStatusChanged", "root.w", "k", 3.0, 1, ("suspended", 3.0, None, "", 1, "")),  # unknown status
        ("CallStatusChanged", "root.w", "k", 3.0, 1, ("running", 3.0, None, "", 1)),
        ("CallStatusChanged", "root.w", "k", 3.0, 1, ("running", 3.0, None, "", 1, "", "more")),
        ("CallStatusChanged", "root.w", "k", 3.0, 1, ["running", 3.0, None, "", 1, ""]),
        ("CallStatusChanged", "root.w", "k", 3.0, 1, ("running", 3.0, None, "", True, "")),
        ("CallAsked", "root.w", "k", 3.0, True, None),
        ("CallFailed", "root.w", "k", 3.0, ("crashed", "", "", None)),
        ("CallFailed", "root.w", "k", 3.0, ("crashed", "", "", None, 0)),
        ("ComponentAttached", "root.w", 1.0, 1, ("app.py", "W"), {}),
        ("ComponentAttached", "root.w", 1.0, True, ["app.py", "W"], {}),
        ("ComponentAttached", "root.w", 1.0, True, ("app.py", "W", ""), {}),
        ("StateWritten", "root", 1.0, {"a": "text"}),
        ("StateWritten", "root", 1.0, {1: b""}),
        ("RunBegun", 1),
        ("CallSucceeded", "root.w", "k", 4.0, "value"),
        ("CallSucceeded", "root.w", "k", 4.0, ()),
        ("CallSucceeded", "root.w", "k", 4.0, ("reference",)),
        ("HistoryKept", 1.0, (1,), (), (), (), ()),
        ("HistoryKept", 1.0, (), (), (1,), (), ()),
        ("HistoryKept", 1.0, (), (), (), (("root.w",),), ()),
        ("AnswersKept", "root.w", 1.0, ("k",), (1,), (1,), (1.0,), ()),
        ("AnswersKept", "root.w", 1.0, ("k",), (1,), (1,), (1.0,), (None,)),
        ("AnswersKept", "root.w", 1.0, (1,), (1,), (1,), (1.0,), (b"",)),
        ("CallsKept", "root.w", 1.0, ("k",)),
        ("CallsKept", "root.w", 1.0, (("k", 1, 1, True, False, True, True, b"", None, None, (), None),)),
        ("WorkKept", "root.w", 1.0, ("a",), False, 5, (4, 1, 3, 0, 1), True, "k", tuple(FAILED), ()),
        ("WorkKept", "root.w", 1.0, None, False, 5, (4, 1, 3, 0), True, "k", tuple(FAILED), ()),
        ("WorkKept", "root.w", 1.0, None, False, 5, (4, 1, 3, 0, 1), True, "k", (), ()),
        (b"RunBegun", 1.0),
        (),
    ],
)
def test_a_field_of_another_type_is_refused(row: tuple):
    with pytest.raises(JournalVersion, match="Unknown record in the journal"):
        list(decode_events([pickle.dumps([row])], "journal.log"))


@pytest.mark.parametrize("step", [5, pytest.param(1, marks=pytest.mark.torture)])
def test_damaged_bytes_of_a_record_are_refused_by_name_or_decode_to_events(step: int):
    entry = event_codec.encode_events(EVENTS[:9], refuse_value)
    for position in range(0, len(entry), step):
        before, after = entry[:position], entry[position + 1 :]
        with pytest.raises(JournalVersion, match="Unknown record in the journal"):
            list(decode_events([before], "journal.log"))
        for byte in (b"\0", b".", b"N", b"0", b"s", b"\xff"):
            with suppress(JournalVersion, JournalCorrupt):
                list(decode_events([before + byte + after], "journal.log"))


# Events that do not follow from those before them.


@pytest.mark.parametrize("event", [*EVENTS[3:13], EVENTS[15]], ids=lambda event: type(event).__name__)
def test_an_event_about_an_unknown_component_or_call_is_refused_with_the_name_of_the_journal(event: Event):
    """A `KeyError` from the fold would not say which run it is."""
    begun = [RunBegun(1.0), *([] if isinstance(event, CallAsked) else EVENTS[2:3])]
    if isinstance(event, ProcessStarted | WorkStatusChanged | StateReported):
        begun = begun[:1]

    with pytest.raises(JournalCorrupt, match=rf"'/runs/1/journal\.log' is damaged: {type(event).__name__}"):
        fold_entries(encode_events([*begun, event]), "/runs/1/journal.log")


def test_an_event_about_a_call_of_a_flow_is_refused():
    with pytest.raises(JournalCorrupt, match=r"there is no work root;"):
        fold_entries(encode_events([*EVENTS[:2], CallAsked("root", "k", 2.0, 1, None)]), "journal.log")


def test_events_in_any_order_are_refused_or_folded(tmp_path: Path):
    rng = random.Random(14)
    for _ in range(500):
        events = rng.choices(EVENTS, k=rng.randrange(2 * len(EVENTS)))
        with suppress(JournalCorrupt):
            Replay("run", fold_entries(encode_events(events), "journal.log"))


def test_a_run_of_several_processes_is_one_story():
    """The second process attaches the same components again, and asks again for the unfinished calls."""
    again = [RunBegun(10.0), *EVENTS[1:3], CallAsked("root.w", "big", 11.0, 2, None)]
    ended = CallSucceeded("root.w", "big", 12.0, b"value")

    replay = Replay("run", fold_entries(encode_events([*EVENTS[:10], *again, ended]), "journal.log"))

    assert replay.history.begun == [1.0, 10.0]
    assert [call.stage for call in replay.history.calls] == ["succeeded", "lost", "succeeded"]
    assert (replay.num_completed, replay.num_unfinished) == (2, 0)


@pytest.mark.parametrize(
    "end",
    [
        [CallSucceeded("root.v", "k", 7.0, b"value")],
        [
            CallStatusChanged("root.v", "k", 7.0, 1, FAILED),
            CallFailed("root.v", "k", 7.0, Failure("crashed", "gone")),
        ],
    ],
    ids=["succeeded", "failed"],
)
def test_a_call_that_ends_after_its_work_got_another_name_is_not_run_again(end: list[Event]):
    moved = [ComponentDetached("root.w", 6.0), ComponentAttached("root.v", 6.0, True, ("app.py", "W"), {})]
    survived = [CallSurvived("root.w", "k", 8.0), AnswerUsed("root.v", "k", 8.0)]

    replay = Replay("run", fold_entries(encode_events([*EVENTS[:8], *moved, *end, *survived]), "journal.log"))

    (call,) = replay.history.works["root.v"].records.current.values()
    assert call.ended
    assert replay.num_completed == 1
    assert [call.stage for call in replay.history.works["root.v"].calls] == [call.statuses[-1].stage]


def test_the_state_at_the_start_is_in_the_history_and_not_taken_over_by_a_resume():
    history = fold(EVENTS[:5])

    assert history.states == {"root": {"turn": b"I1"}, "root.w": {}}
    assert history.written == {"root": {"turn": b"I1"}}
