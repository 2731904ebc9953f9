"""The activity of runs: ended and failed attempts in bins, read on from where the last reading ended."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite.engine.compaction import Compaction
from lightning_lite.events import (
    CallAsked,
    CallStatusChanged,
    CallSucceeded,
    ComponentAttached,
    Event,
    RunBegun,
)
from lightning_lite.monitor.activity import NUM_BINS, Activity
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.runs.event_codec import encode_events
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.status import WorkStatus
from lightning_lite.testing import poll_until

ENOUGH = 60.0


def summary(folder: Path, state: str = "stopped") -> RunSummary:
    return RunSummary(folder.name, str(folder), {}, state, None)


def write(journal: Journal, *events: Event) -> None:
    journal.write(encode_events(events, journal.keep_value))


def create(folder: Path) -> Journal:
    folder.mkdir()
    journal = Journal.create(str(folder), "app.py:Root")
    write(journal, RunBegun(100.0), ComponentAttached("root.w", 100.0, True, ("app.py", "W"), {}))
    return journal


def add_calls(journal: Journal, first: int, last: int) -> None:
    """Let a call end at each of these seconds after the start; each tenth fails."""
    for number in range(first, last + 1):
        time = 100.0 + number
        failed = WorkStatus("failed", time, "crashed", "gone", 1)
        end: Event = CallSucceeded("root.w", f"{number}", time, b"")
        if number % 10 == 0:
            end = CallStatusChanged("root.w", f"{number}", time, number, failed)
        write(journal, CallAsked("root.w", f"{number}", time, number, None), end)


@pytest.fixture
def activity() -> Iterator[Activity]:
    made = Activity()
    yield made
    made.close()


def test_ended_and_failed_attempts_are_counted_in_bins(tmp_path: Path, activity: Activity):
    journal = create(tmp_path / "run")
    add_calls(journal, 1, 240)

    (found,) = activity.describe([summary(tmp_path / "run")], ENOUGH).values()

    assert (found["attempts"], found["failed"]) == (240, 24)
    assert (found["from"], found["to"]) == (100.0, 340.0)
    assert found["bins"] == [9, *[10] * (NUM_BINS - 2), 11]
    assert sum(found["failed_bins"]) == 24

    add_calls(journal, 241, 250)
    Compaction(journal, 5).advance()
    add_calls(journal, 251, 260)
    journal.close()
    (again,) = activity.describe([summary(tmp_path / "run")], ENOUGH).values()
    assert (again["attempts"], again["failed"], again["to"]) == (260, 26, 360.0)
    assert sum(again["bins"]) == 260


def test_a_run_that_goes_on_is_shown_up_to_now(tmp_path: Path, activity: Activity):
    journal = create(tmp_path / "run")
    add_calls(journal, 1, 5)
    journal.close()

    (found,) = activity.describe([summary(tmp_path / "run", "running")]).values()

    assert found["to"] > 1e9
    assert found["bins"] == [5, *[0] * (NUM_BINS - 1)]


def test_a_long_journal_is_read_by_a_thread_and_the_short_ones_first(tmp_path: Path, activity: Activity):
    for name, calls in (("long", 2000), ("short", 5)):
        journal = create(tmp_path / name)
        add_calls(journal, 1, calls)
        journal.close()
    runs = [summary(tmp_path / "long"), summary(tmp_path / "short")]

    first = activity.describe(runs, 0.0)
    assert first["long"] == {"pending": True}
    assert first["short"]["attempts"] == 5
    poll_until(lambda: "attempts" in activity.describe(runs, -1.0)["long"])

    assert activity.describe(runs)["long"]["attempts"] == 2000
    activity.close()
    assert not [one for one in threading.enumerate() if "activity" in one.name]


def test_a_run_without_a_journal_is_idle_and_a_damaged_one_says_so(tmp_path: Path, activity: Activity):
    (tmp_path / "new").mkdir()
    create(tmp_path / "bad").close()
    with open(tmp_path / "bad" / FILE_NAME, "r+b") as file:
        file.write(b"XXX")

    found = activity.describe([summary(tmp_path / name) for name in ("new", "bad", "none")])

    assert found["new"]["attempts"] == found["none"]["attempts"] == 0
    assert found["new"]["bins"] == [0] * NUM_BINS
    assert "it is not a journal" in found["bad"]["trouble"]
    os.rename(tmp_path / "bad", tmp_path / "away")
    create(tmp_path / "bad").close()
    (mended,) = activity.describe([summary(tmp_path / "bad")]).values()
    assert mended["attempts"] == 0
