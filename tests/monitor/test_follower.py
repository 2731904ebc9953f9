"""A follower reads a journal that grows, is compacted, cut, damaged or removed; its knowledge is right."""

from __future__ import annotations

import os
import random
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from lightning_lite.engine.compaction import Compaction
from lightning_lite.engine.history import read_history
from lightning_lite.events import (
    CallAsked,
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    ComponentAttached,
    ComponentDetached,
    Event,
    RunBegun,
    StateReported,
    StateWritten,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.monitor.event_index import AttributeChange, FailedAttempt, WorkCounts
from lightning_lite.monitor.follower import RunFollower
from lightning_lite.runs.event_codec import encode_events
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.status import WorkStatus

from tests.support.stories import Story, known

IDENTITY = "app.py:Root"

#: A budget of seconds that is enough for all.
ENOUGH = 60.0


def write(journal: Journal, *events: Event) -> None:
    if events:
        journal.write(encode_events(events, journal.keep_value))


def begin(journal: Journal) -> None:
    write(
        journal,
        RunBegun(1.0),
        ComponentAttached("root", 1.0, False, ("app.py", "Root"), {"k": b"0"}),
        ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {"loss": b"0"}),
    )


def call(number: int, time: float, *, fails: bool = False) -> list[Event]:
    """Return the events of one call, which takes a second."""
    key = f"{number}"
    events: list[Event] = [
        CallAsked("root.w", key, time, number, b"args"),
        CallStatusChanged("root.w", key, time, number, WorkStatus("running", time, count=1)),
    ]
    if fails:
        status = WorkStatus("failed", time + 1, "user_exception", f"no {number}", 1, "Traceback")
        failure = Failure("user_exception", f"no {number}", "Traceback", None, False)
        return [
            *events,
            CallStatusChanged("root.w", key, time + 1, number, status),
            CallFailed("root.w", key, time + 1, failure),
        ]
    return [*events, CallSucceeded("root.w", key, time + 1, b"value")]


def finish(follower: RunFollower) -> None:
    """Follow to the present end of the journal."""
    while True:
        follower.follow(ENOUGH)
        if follower.trouble or follower.bytes_read == os.path.getsize(Path(follower.path, FILE_NAME)):
            return


class Life:
    """A run that is written, compacted, interrupted and resumed at random."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        self.rng = random.Random(seed)
        self.story = Story(self.rng, self.rng.choice([1, 1, 3000]))
        self.journal = Journal.create(str(folder), IDENTITY)
        self.compaction: Compaction | None = None
        self.write(self.story.begin())

    def write(self, events: list[Event]) -> None:
        write(self.journal, *events)

    def go_on(self) -> None:
        if self.rng.random() < 0.9:
            self.write(self.story.step())
        elif self.compaction is None and self.rng.random() < 0.2:
            self.resume()
        else:
            if self.compaction is None:
                self.compaction = Compaction(self.journal, self.rng.choice([0, 5, 1000]))
            if self.compaction.advance(self.rng.randrange(1, 40)):
                self.compaction = None

    def end(self) -> None:
        if self.compaction is not None:
            self.compaction.abandon()
            self.compaction = None
        self.journal.close()

    def resume(self) -> None:
        """Let another process go on, perhaps after an interrupted write."""
        self.end()
        if self.rng.random() < 0.5:
            with open(self.folder / FILE_NAME, "ab") as file:
                file.write(self.rng.choice([b"\xabLLe", b"\xabLLe" + bytes(40), b"torn"]))
        self.journal = Journal.open(str(self.folder), IDENTITY)
        self.write(self.story.begin())


@pytest.mark.parametrize(
    "seeds", [range(25), pytest.param(range(25, 1500), marks=pytest.mark.torture)], ids=["25", "the others"]
)
def test_the_history_is_that_of_a_reader_that_begins_now(tmp_path: Path, seeds: range):
    for seed in seeds:
        folder = tmp_path / f"{seed}"
        folder.mkdir()
        life = Life(folder, seed)
        early, late = RunFollower(str(folder)), RunFollower(str(folder))
        for _ in range(life.rng.randrange(150)):
            life.go_on()
            if life.rng.random() < 0.3:
                early.follow(life.rng.choice([0.0, ENOUGH]))
            if life.rng.random() < 0.05:
                late.follow(0.0)
        life.end()
        for follower in (early, late):
            finish(follower)
            assert follower.trouble == ""
            assert known(follower.history) == known(read_history(str(folder))), seed
            assert follower.history.works.keys() == read_history(str(folder)).works.keys()


@pytest.mark.parametrize("seed", range(2))
def test_a_journal_that_was_cut_is_read_up_to_its_last_whole_entry(tmp_path: Path, seed: int):
    life = Life(tmp_path, seed)
    for _ in range(100):
        life.write(life.story.step())
    life.end()
    whole = (tmp_path / FILE_NAME).read_bytes()
    for number in range(20):
        cut = tmp_path / f"cut {number}"
        cut.mkdir()
        size = life.rng.randrange(200, len(whole))
        (cut / FILE_NAME).write_bytes(whole[:size])
        follower = RunFollower(str(cut))
        assert follower.follow(ENOUGH)
        assert follower.is_complete
        assert follower.trouble == ""
        assert known(follower.history) == known(read_history(str(cut)))

        (cut / FILE_NAME).write_bytes(whole)
        finish(follower)
        assert known(follower.history) == known(read_history(str(tmp_path)))
        assert follower.generation == 0


def test_each_follow_reads_only_what_is_new_and_says_whether_there_was_something(tmp_path: Path):
    follower = RunFollower(str(tmp_path))
    assert not follower.follow()
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)

    assert follower.follow()
    assert not follower.follow()
    first = follower.history
    write(journal, *call(1, 10.0))
    assert follower.follow()
    assert not follower.follow()

    assert follower.history is first
    assert (follower.generation, follower.revision) == (0, 2)
    assert follower.bytes_read == follower.size == journal.size
    assert follower.counts("root.w") == WorkCounts(1, 1, 0)
    assert follower.counts("root.other") == WorkCounts(0, 0, 0)
    journal.close()


def test_a_budget_ends_a_reading_and_the_next_one_continues(tmp_path: Path):
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)
    for number in range(1, 101):
        write(journal, *call(number, float(number)))
    journal.close()
    follower, seen = RunFollower(str(tmp_path)), []

    while not follower.is_complete:
        assert follower.follow(0.0)
        seen.append((follower.counts("root.w").calls, follower.bytes_read))

    assert len(seen) > 3
    assert seen == sorted(set(seen))
    assert seen[-1] == (100, follower.size)


def test_what_is_known_stays_visible_until_a_compacted_journal_was_read(tmp_path: Path):
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)
    for number in range(1, 101):
        write(journal, *call(number, float(number)))
    follower = RunFollower(str(tmp_path))
    finish(follower)
    Compaction(journal, 1000).advance()
    for number in range(101, 201):
        write(journal, *call(number, float(number)))
    before, looks = follower.history, 0

    while follower.generation == 0:
        assert follower.history is before
        assert len(follower.history.works["root.w"].calls) == 100
        follower.follow(0.0)
        looks += 1

    assert looks > 2
    assert follower.generation == 1
    assert follower.history is not before
    assert len(follower.history.works["root.w"].calls) == 200
    journal.close()


def test_a_journal_that_is_compacted_before_it_was_read_to_its_end_is_read_all_the_same(tmp_path: Path):
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)
    follower = RunFollower(str(tmp_path))
    for number in range(1, 1601):
        write(journal, *call(number, float(number)))
        if number % 40 == 10:
            Compaction(journal, 0).advance()
        elif number % 40 == 0:
            follower.follow(0.0)

    assert follower.generation > 10
    assert follower.counts("root.w").calls > 800
    journal.close()


def test_failures_and_changes_survive_a_compaction(tmp_path: Path):
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)
    write(journal, StateReported("root.w", 3.0, {"loss": b"1"}), StateWritten("root", 3.5, {"k": b"1"}))
    write(journal, StateReported("root.w", 4.0, {"loss": b"2"}))
    for number in range(1, 301):
        write(journal, *call(number, 10.0 * number, fails=True))
    follower = RunFollower(str(tmp_path))
    finish(follower)
    shown = follower.index.failures.items()
    assert [failure.call for failure in shown] == [*range(1, 21), *range(121, 301)]
    assert shown[0] == FailedAttempt("root.w", 1, 1, 11.0, "user_exception", "no 1")

    write(journal, StateWritten("root", 4000.0, {"k": b"2"}))
    compaction = Compaction(journal, 5)
    compaction.advance(3)
    write(journal, *call(301, 5000.0, fails=True))
    compaction.advance()
    journal.close()
    finish(follower)
    new = RunFollower(str(tmp_path))
    finish(new)

    assert follower.generation == 1
    assert follower.index.failures.total == new.index.failures.total == 301
    assert [failure.call for failure in follower.index.failures.items()][:20] == [*range(1, 21)]
    assert follower.index.failures.items()[-1].call == new.index.failures.items()[-1].call == 301
    assert follower.index.changes["root.w"] == {"loss": AttributeChange(4.0, 2)}
    assert follower.index.changes["root"]["k"].time == 4000.0
    assert new.index.changes["root.w"] == {"loss": AttributeChange(None, 1)}
    assert follower.counts("root.w") == new.counts("root.w") == WorkCounts(301, 0, 301)


def test_the_index_knows_failures_changes_and_the_newest_events(tmp_path: Path):
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)
    write(journal, *call(1, 10.0))
    write(journal, *call(2, 20.0, fails=True))
    write(journal, StateReported("root.w", 30.0, {"loss": b"1"}))
    write(journal, WorkStatusChanged("root.w", 40.0, WorkStatus("failed", 40.0, "crashed", "signal 9")))
    follower = RunFollower(str(tmp_path))
    finish(follower)

    assert follower.index.failures.items() == [
        FailedAttempt("root.w", 2, 1, 21.0, "user_exception", "no 2"),
        FailedAttempt("root.w", None, 0, 40.0, "crashed", "signal 9"),
    ]
    assert follower.index.changes == {"root.w": {"loss": AttributeChange(30.0, 1)}}
    assert follower.counts("root.w") == WorkCounts(2, 1, 2)
    assert [(event.kind, event.call) for event in follower.index.newest][:2] == [
        ("RunBegun", None),
        ("ComponentAttached", None),
    ]
    assert follower.index.newest[-1] == (40.0, "WorkStatusChanged", "root.w", None)

    write(journal, ComponentDetached("root.w", 50.0))
    finish(follower)
    assert follower.index.changes == {}
    assert follower.counts("root.w") == WorkCounts(2, 1, 2)
    journal.close()


# Trouble.


def write_some(folder: Path, calls: int = 3) -> None:
    folder.mkdir(exist_ok=True)
    journal = Journal.create(str(folder), IDENTITY)
    begin(journal)
    for number in range(1, calls + 1):
        write(journal, *call(number, float(number)))
    journal.close()


def test_a_damaged_journal_is_trouble_and_what_was_read_stays(tmp_path: Path):
    write_some(tmp_path)
    file = tmp_path / FILE_NAME
    data = bytearray(file.read_bytes())
    place = data.rindex(b"value")
    data[place] ^= 1
    file.write_bytes(data)
    follower = RunFollower(str(tmp_path))

    assert follower.follow()
    assert "is damaged at entry 4" in follower.trouble
    assert follower.counts("root.w").calls == 2
    assert follower.is_complete
    assert not follower.follow()
    assert "is damaged" in follower.trouble

    data[place] ^= 1
    file.write_bytes(data)
    finish(follower)
    assert follower.trouble == ""
    assert follower.counts("root.w").calls == 3


def test_an_entry_of_another_version_is_trouble_until_the_journal_is_replaced(tmp_path: Path):
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)
    follower = RunFollower(str(tmp_path))
    journal.write(b"no pickle")
    write(journal, *call(1, 10.0))

    assert follower.follow()
    assert "Unknown record in the journal" in follower.trouble
    write(journal, *call(2, 20.0))
    assert not follower.follow()
    assert "Unknown record in the journal" in follower.trouble
    assert follower.counts("root.w").calls == 0
    journal.close()

    (tmp_path / FILE_NAME).unlink()
    write_some(tmp_path)
    assert follower.follow()
    assert follower.trouble == ""
    assert follower.counts("root.w").calls == 3


def test_a_removed_run_is_trouble_until_it_is_back(tmp_path: Path):
    run, aside = tmp_path / "run", tmp_path / "aside"
    write_some(run)
    follower = RunFollower(str(run))
    finish(follower)

    run.rename(aside)
    assert not follower.follow()
    assert follower.trouble.startswith("the run was removed: there is no folder")
    assert follower.counts("root.w").calls == 3
    aside.rename(run)
    assert not follower.follow()
    assert follower.trouble == ""

    (run / FILE_NAME).rename(aside)
    follower.follow()
    assert follower.trouble.startswith("the journal of the run was removed from")


def test_a_link_in_place_of_the_run_or_its_journal_is_trouble(tmp_path: Path):
    write_some(tmp_path / "run")
    (tmp_path / "link").symlink_to("run")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / FILE_NAME).symlink_to(tmp_path / "run" / FILE_NAME)

    for name in ("link", "other"):
        follower = RunFollower(str(tmp_path / name))
        assert not follower.follow()
        assert "symbolic link" in follower.trouble
        assert not follower.history.works


def test_a_run_without_a_journal_is_no_trouble(tmp_path: Path):
    follower = RunFollower(str(tmp_path))

    assert not follower.follow()
    assert (follower.trouble, follower.is_complete, follower.size) == ("", True, 0)


def test_a_write_that_was_cut_off_after_it_had_been_read_is_forgotten(tmp_path: Path):
    """The disk was full, so the process took its write back; another process went on from before that."""
    write_some(tmp_path)
    shorter = (tmp_path / FILE_NAME).read_bytes()
    journal = Journal.open(str(tmp_path), IDENTITY)
    write(journal, *call(4, 40.0))
    journal.close()
    follower = RunFollower(str(tmp_path))
    finish(follower)
    assert follower.counts("root.w").calls == 4

    with open(tmp_path / FILE_NAME, "r+b") as file:
        file.truncate(len(shorter))
    journal = Journal.open(str(tmp_path), IDENTITY)
    for number in (5, 6):
        write(journal, *call(number, 50.0))
    journal.close()
    finish(follower)

    assert [one.number for one in follower.history.works["root.w"].calls] == [1, 2, 3, 5, 6]
    assert follower.generation == 1


def test_many_threads_follow_one_run(tmp_path: Path):
    journal = Journal.create(str(tmp_path), IDENTITY)
    begin(journal)
    follower, is_over, wrong = RunFollower(str(tmp_path)), threading.Event(), []

    def look() -> None:
        while not is_over.is_set():
            follower.follow(0.001)
            with follower.lock:
                numbers = [one.number for one in follower.history.calls]
                if numbers != [*range(1, len(numbers) + 1)]:
                    wrong.append(numbers)

    threads = [threading.Thread(target=look) for _ in range(5)]
    for thread in threads:
        thread.start()
    for number in range(1, 301):
        write(journal, *call(number, float(number)))
        if number % 100 == 0:
            Compaction(journal, 1000).advance()
    is_over.set()
    for thread in threads:
        thread.join()
    journal.close()
    finish(follower)

    assert wrong == []
    assert follower.counts("root.w") == WorkCounts(300, 300, 0)


@pytest.mark.skipif(not os.path.isdir("/proc/self/fd"), reason="the open files are counted there")
def test_no_file_stays_open(tmp_path: Path):
    def open_files() -> list[str]:
        """Return those of this test: a thread of an earlier one may still close its own."""
        targets = []
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # it was closed since
                targets.append(os.readlink(link))
        return [target for target in targets if target.startswith(f"{tmp_path}/")]

    write_some(tmp_path, calls=100)
    follower = RunFollower(str(tmp_path))
    follower.follow(0.0)
    assert not follower.is_complete
    assert len(open_files()) == 1
    del follower
    complete = RunFollower(str(tmp_path))
    finish(complete)

    assert open_files() == []
