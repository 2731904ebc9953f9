"""A snapshot gives the history that the events gave; a compacted journal is small and read as before."""

from __future__ import annotations

import os
import random
import signal
from pathlib import Path

import pytest

from lightning_lite.clock import Moment
from lightning_lite.engine import recorder
from lightning_lite.engine.compaction import Compaction
from lightning_lite.engine.history import RunHistory, fold, fold_entries, read_history
from lightning_lite.engine.recorder import Recorder
from lightning_lite.engine.replay import Replay
from lightning_lite.errors import JournalCorrupt
from lightning_lite.events import (
    AnswerUsed,
    CallAsked,
    CallStatusChanged,
    CallSucceeded,
    ComponentAttached,
    ComponentDetached,
    Event,
    RunBegun,
    StateWritten,
)
from lightning_lite.runs.event_codec import encode_events
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME, read_entries
from lightning_lite.runs.journal_values import INLINE_LIMIT
from lightning_lite.status import WorkStatus

from tests.support.journal_files import cuts
from tests.support.stories import EVERYTHING, Story, known


def compacted(history: RunHistory, limit: int, *, is_lazy: bool = False) -> RunHistory:
    """Return the history that the entries of a snapshot give."""
    entries = [encode_events([event], lambda _: pytest.fail("big")) for event in history.snapshot(limit)]
    return fold_entries(entries, "/run/journal.log", is_lazy=is_lazy)


@pytest.mark.parametrize(
    "seeds", [range(20), pytest.param(range(20, 3000), marks=pytest.mark.torture)], ids=["20", "the others"]
)
@pytest.mark.parametrize("limit", [EVERYTHING, 5, 0])
def test_a_snapshot_gives_the_same_history_and_so_do_the_events_after_it(seeds: range, limit: int):
    for seed in seeds:
        rng = random.Random(seed)
        story = Story(rng)
        events = story.begin()
        for _ in range(rng.randrange(80)):
            events += story.step()
        plain = fold(events)
        small = compacted(fold(events), limit)
        twice = compacted(compacted(fold(events), limit, is_lazy=True), limit)
        assert known(small, limit=limit) == known(plain, limit=limit), seed
        assert known(twice, limit=limit) == known(plain, limit=limit), seed
        later = [event for _ in range(rng.randrange(40)) for event in story.step()]
        lazy = compacted(fold(events), limit, is_lazy=True)
        for event in later:
            for history in (plain, small, lazy):
                history.apply(event)
        assert known(compacted(lazy, EVERYTHING), limit=limit) == known(small, limit=limit), seed
        left, right = known(small, limit=limit), known(plain, limit=limit)
        # Of a removed work without listed calls nothing is kept, so a new one with its name starts without.
        for name in ("statuses", "times", "num_calls") if limit < EVERYTHING else ("statuses",):
            del left[name], right[name]
        assert left == right, seed


def test_of_ended_calls_the_newest_stay_listed_and_all_stay_remembered():
    events: list[Event] = [RunBegun(1.0), ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {})]
    for number in range(1, 101):
        events.append(CallAsked("root.w", f"{number}", 2.0, number, b"args"))
        events.append(CallSucceeded("root.w", f"{number}", 3.0, b"%d" % number))
    events.append(CallAsked("root.w", "under way", 1.0, 101, b"args"))

    work = compacted(compacted(fold(events), 20), 10).works["root.w"]

    assert [call.number for call in work.calls] == [*range(91, 102)]
    assert work.num_calls == 101
    assert [call.number for call in work.records.current.values() if call.succeeded] == [*range(1, 101)]
    assert work.records.current["7"].stored_value == b"7"


def test_the_newest_used_answer_stays_while_the_next_call_runs():
    running = WorkStatus("running", 2.0, None, "", 1, "")
    events: list[Event] = [
        RunBegun(1.0),
        ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {}),
        ComponentAttached("root.busy", 1.0, True, ("app.py", "W"), {}),
        CallAsked("root.w", "used", 2.0, 1, None),
        CallSucceeded("root.w", "used", 3.0, b"a" * 5000),
        AnswerUsed("root.w", "used", 3.0),
        CallAsked("root.w", "under way", 4.0, 2, None),
        CallStatusChanged("root.w", "under way", 4.0, 2, running),
    ]
    for number in range(1, 31):
        events.append(CallAsked("root.busy", f"{number}", 5.0, number, None))
        events.append(CallSucceeded("root.busy", f"{number}", 6.0, b"1"))

    work = compacted(compacted(fold(events), 20), 10).works["root.w"]

    assert work.records.current["used"].stored_value == b"a" * 5000
    work.records.keep(lambda call: call.ended)
    assert work.records.newest is work.records.current["used"]


# Compactions of a journal.


def read_all(folder: Path) -> RunHistory:
    """Return the history of a run, with the records of all remembered calls."""
    return fold_entries(read_entries(str(folder)), str(folder / FILE_NAME))


def record_all(journal: Journal, steps: list[list[Event]]) -> Recorder:
    mine = Recorder(journal)
    for step in steps:
        mine.record(step, Moment(0.0, 0.0))
    return mine


def make_steps(seed: int, count: int, size: int = 1) -> list[list[Event]]:
    story = Story(random.Random(seed), size)
    return [story.begin(), *(step for _ in range(count) if (step := story.step()))]


@pytest.mark.parametrize("pieces", [1, 7, None])
def test_a_journal_is_compacted_while_it_is_written(tmp_path: Path, pieces: int | None):
    """Each step is written between two parts of the compaction."""
    steps = make_steps(1, 120)
    journal = Journal.create(str(tmp_path), "app")
    for step in steps[:60]:
        journal.write(encode_events(step, journal.keep_value))
    before = journal.size
    compaction = Compaction(journal, EVERYTHING)
    is_complete = False
    for step in steps[60:]:
        is_complete = is_complete or compaction.advance(pieces)
        journal.write(encode_events(step, journal.keep_value))
        flat = [event for one in steps for event in one]
        assert known(read_all(tmp_path))["last time"] <= fold(flat).last_time
    compaction.advance()
    journal.close()

    assert 0 < compaction.size < before
    assert known(read_all(tmp_path)) == known(fold(event for step in steps for event in step))
    assert not (tmp_path / f"{FILE_NAME}.new").exists()


def test_a_compaction_that_fails_says_so_and_the_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(recorder, "_MIN_GROWTH", 1000)
    steps = make_steps(2, 300)
    journal = Journal.create(str(tmp_path), "app")
    (tmp_path / f"{FILE_NAME}.new").mkdir()

    record_all(journal, steps).close()

    assert "The journal was not compacted" in caplog.text
    assert known(read_all(tmp_path)) == known(fold(event for step in steps for event in step))


def test_a_compaction_under_way_is_given_up_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(recorder, "_MIN_GROWTH", 100)
    monkeypatch.setattr(recorder, "_PIECES", 1)
    steps = make_steps(3, 40)
    journal = Journal.create(str(tmp_path), "app")

    mine = record_all(journal, steps)
    assert (tmp_path / f"{FILE_NAME}.new").exists()
    mine.close()

    assert not (tmp_path / f"{FILE_NAME}.new").exists()
    assert known(read_all(tmp_path)) == known(fold(event for step in steps for event in step))


def test_200_changes_of_a_big_attribute_leave_a_small_journal(tmp_path: Path):
    big = os.urandom(1200) * 100
    journal = Journal.create(str(tmp_path), "app")
    mine = Recorder(journal)
    mine.record(
        [RunBegun(1.0), ComponentAttached("root", 1.0, False, ("app.py", "Root"), {"table": b""})],
        Moment(0.0, 0.0),
    )
    largest = 0
    for number in range(200):  # 24 MB in all
        value = number.to_bytes(4) + big
        mine.record([StateWritten("root", 2.0 + number, {"table": value})], Moment(0.0, 0.0))
        used = sum(path.stat().st_size for path in tmp_path.glob("journal*"))
        largest = max(largest, used)
    mine.close()

    assert largest <= 4 * (len(big) + recorder._MIN_GROWTH)
    assert journal.size <= 2 * len(big) + 1024 * 1024
    assert read_history(str(tmp_path)).states == {"root": {"table": value}}


def test_the_journal_of_a_loop_follows_what_is_remembered_and_not_what_happened(tmp_path: Path):
    """A work with `cache_calls=False` is asked again and again; nothing of it is remembered."""
    journal = Journal.create(str(tmp_path), "app")
    mine = Recorder(journal, history=100)
    mine._compact_at = recorder._MIN_GROWTH // 64
    mine.record(
        [RunBegun(1.0), ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {})], Moment(0.0, 0.0)
    )
    for number in range(1, 2_501):
        time = float(number)
        mine.record([CallAsked("root.w", "k", time, number, b"arguments" * 5)], Moment(0.0, 0.0))
        mine.record([CallSucceeded("root.w", "k", time, b"value")], Moment(0.0, 0.0))
        mine.record([AnswerUsed("root.w", "k", time)], Moment(0.0, 0.0))
        mine._compact_at = min(mine._compact_at, recorder._MIN_GROWTH // 64)
    mine.close()

    assert mine._snapshot_size < 20_000
    assert journal.size < recorder._MIN_GROWTH // 32
    assert read_history(str(tmp_path)).works["root.w"].num_calls == 2_500


def test_values_that_no_remembered_call_needs_are_removed_while_the_run_goes_on(tmp_path: Path):
    journal = Journal.create(str(tmp_path), "app")
    big = [bytes([number]) * (INLINE_LIMIT + 1) for number in range(6)]
    attached = ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {})
    gone = [attached, CallAsked("root.w", "a", 1.0, 1, None), CallSucceeded("root.w", "a", 1.0, big[0])]
    again = [CallAsked("root.w", "b", 1.0, 1, None), CallSucceeded("root.w", "b", 1.0, big[1])]
    for events in ([RunBegun(1.0)], gone, [ComponentDetached("root.w", 2.0), attached], again):
        journal.write(encode_events(events, journal.keep_value))
    late = [CallAsked("root.w", "c", 3.0, 2, None), CallSucceeded("root.w", "c", 3.0, big[2])]
    compaction = Compaction(journal, 100)
    assert not compaction.advance(2)
    journal.write(encode_events(late, journal.keep_value))
    assert len(list((tmp_path / "values").iterdir())) == 3

    compaction.advance()

    values = {path.read_bytes() for path in (tmp_path / "values").iterdir()}
    assert values == {big[1], big[2]}
    journal.close()
    book = read_all(tmp_path).works["root.w"].records
    assert {book.current[key].stored_value.load() for key in "bc"} == values


def big_answers(count: int, size: int, *, are_used: bool) -> list[list[Event]]:
    """Return the steps of a run whose work is called with other arguments again and again."""
    steps: list[list[Event]] = [[RunBegun(1.0), ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {})]]
    for number in range(1, count + 1):
        key, time = f"{number}", float(number)
        steps.append([CallAsked("root.w", key, time, number, b"arguments")])
        answer = CallSucceeded("root.w", key, time, number.to_bytes(4) * (size // 4))
        steps.append([answer, AnswerUsed("root.w", key, time)] if are_used else [answer])
    return steps


def size_of_values(folder: Path) -> int:
    return sum(path.stat().st_size for path in (folder / "values").iterdir())


def test_used_answers_of_calls_with_other_arguments_do_not_stay_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder, "_MIN_GROWTH_OF_VALUES", 2 * 1024 * 1024)
    size = 100_000
    journal = Journal.create(str(tmp_path), "app")
    mine = Recorder(journal)
    largest = 0
    for step in big_answers(200, size, are_used=True):  # 20 MB in all
        mine.record(step, Moment(0.0, 0.0))
        if (tmp_path / "values").exists():
            largest = max(largest, size_of_values(tmp_path))
    assert largest < 2 * recorder._MIN_GROWTH_OF_VALUES
    mine.close()

    assert (
        size <= size_of_values(tmp_path) <= size + recorder._MIN_GROWTH_AT_END
    )  # the newest stays, for `wait_for`
    work = read_all(tmp_path).works["root.w"]
    assert [len(call.statuses) for call in work.calls] == [2] * 200
    assert {call.stage for call in work.calls} == {"succeeded"}
    assert work.records.newest is not None
    assert work.records.newest.stored_value.size == size


def test_remembered_answers_stay_on_disk_and_are_not_compacted_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(recorder, "_MIN_GROWTH_OF_VALUES", 2 * 1024 * 1024)
    journal, size = Journal.create(str(tmp_path), "app"), 100_000
    mine, begun = Recorder(journal), []
    rewrite = journal.rewrite
    monkeypatch.setattr(journal, "rewrite", lambda: begun.append(journal.size) or rewrite())
    for step in big_answers(200, size, are_used=False):
        mine.record(step, Moment(0.0, 0.0))
    mine.close()

    assert size_of_values(tmp_path) == 200 * size
    assert 2 <= len(begun) <= 6
    records = read_all(tmp_path).works["root.w"].records
    assert all(call.succeeded and not call.is_small for call in records.current.values())


def test_a_resumed_run_has_the_same_records_of_used_answers_as_the_run_itself():
    events = [event for step in big_answers(30, 5000, are_used=True) for event in step]
    plain = fold(events).works["root.w"].records
    for limit in (EVERYTHING, 12):
        small = compacted(fold(events), limit).works["root.w"].records
        for key, call in small.current.items():
            known = plain.current[key]
            assert (call.stored_value, call.succeeded) == (known.stored_value, known.succeeded)
        assert len(small.current) == min(30, limit)
        assert small.newest is not None
        assert small.newest.stored_value == plain.newest.stored_value == (30).to_bytes(4) * 1250


# Deaths within a compaction.


def die_in_compaction(folder: Path, steps: list[list[Event]], piece: int) -> bool:
    """Let a process die after so many pieces of a compaction; return whether that was before its end."""
    pid = os.fork()
    if pid == 0:
        try:
            journal = Journal.open(str(folder), "app")
            compaction = Compaction(journal, EVERYTHING)
            for number, step in enumerate(steps):
                if number == piece:
                    os.kill(os.getpid(), signal.SIGKILL)
                if compaction.advance(1):
                    os._exit(0)
                journal.write(encode_events(step, journal.keep_value))
        finally:
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status in (0, -signal.SIGKILL)
    return status != 0


def test_a_death_after_any_piece_of_a_compaction_loses_nothing(tmp_path: Path):
    first, rest = make_steps(5, 12), make_steps(6, 400)
    flat = [event for step in first for event in step]
    piece = 0
    while True:
        folder = tmp_path / f"{piece}"
        folder.mkdir()
        journal = Journal.create(str(folder), "app")
        for step in first:
            journal.write(encode_events(step, journal.keep_value))
        journal.close()
        if not die_in_compaction(folder, rest, piece):
            break
        written = [event for step in rest[:piece] for event in step]
        assert known(read_all(folder)) == known(fold([*flat, *written]))
        again = Journal.open(str(folder), "app")
        replay = Replay("run", fold_entries(again.entries(), again.path))
        assert known(replay.history)["states"] == known(fold([*flat, *written]))["states"]
        Compaction(again, EVERYTHING).advance()
        again.close()
        assert known(read_all(folder)) == known(fold([*flat, *written]))
        assert len(read_entries(str(folder))) < 40
        piece += 1
    assert piece > 20


@pytest.mark.parametrize("size", [1, INLINE_LIMIT + 1], ids=["small values", "big values"])
def test_a_compacted_journal_that_is_cut_in_what_the_compaction_wrote_is_refused(tmp_path: Path, size: int):
    before, during, after = make_steps(5, 60, size), make_steps(6, 10, size), make_steps(7, 5, size)
    journal = Journal.create(str(tmp_path), "app")
    for step in before:
        journal.write(encode_events(step, journal.keep_value))
    compaction = Compaction(journal, EVERYTHING)
    for step in during:
        assert not compaction.advance(1)
        journal.write(encode_events(step, journal.keep_value))
    compaction.advance()
    whole = journal.size
    ends = [(journal.write(encode_events(step, journal.keep_value)), step) for step in after]
    file, data = tmp_path / FILE_NAME, (tmp_path / FILE_NAME).read_bytes()
    refused = 0
    for cut in [*cuts(file), len(data)]:
        file.write_bytes(data[:cut])
        if cut < whole:
            refused += 1
            with pytest.raises(JournalCorrupt, match="the end of its snapshot is missing"):
                read_history(str(tmp_path))
        else:
            later = [step for end, step in ends if end <= cut]
            kept = [event for step in (*before, *during, *later) for event in step]
            left, right = known(read_all(tmp_path)), known(fold(kept))
            if size > INLINE_LIMIT:  # the one has the values, the other one their files
                del left["books"], right["books"]
            assert left == right
    journal.close()
    assert refused >= 100
