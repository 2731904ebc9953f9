"""Old runs are removed; those in use, those just begun and those that can go on are not."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from old_runs import DAY, FIRST, IDENTITY, make_run, touch

from lightning_lite.runs import retention
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.retention import clean_runs

NOW = FIRST + 100 * DAY


def numbers(root: Path) -> list[int]:
    """Return which runs are left."""
    return sorted(int(name.rpartition("-")[2], 16) for name in os.listdir(root / "runs"))


def test_the_newest_runs_stay(tmp_path: Path):
    for number in range(1, 7):
        make_run(tmp_path, number)

    clean_runs(str(tmp_path), keep=4, now=NOW)

    assert numbers(tmp_path) == [3, 4, 5, 6]


def test_of_older_runs_those_stay_that_can_be_resumed_up_to_the_same_number(tmp_path: Path):
    for number, state in enumerate(["failed", "running", "interrupted", "stopped", "stopped", "failed"], 1):
        make_run(tmp_path, number, state)

    clean_runs(str(tmp_path), keep=2, now=NOW)

    assert numbers(tmp_path) == [2, 3, 5, 6]


def test_a_run_without_a_journal_can_not_be_resumed(tmp_path: Path):
    make_run(tmp_path, 1, "failed", journal=False)
    make_run(tmp_path, 2, "failed")
    make_run(tmp_path, 3)

    clean_runs(str(tmp_path), keep=1, now=NOW)

    assert numbers(tmp_path) == [2, 3]


def test_runs_that_did_not_change_for_long_are_removed_whatever_they_are(tmp_path: Path):
    for number, state in enumerate(["stopped", "failed", "stopped", "failed"], 1):
        make_run(tmp_path, number, state)

    clean_runs(str(tmp_path), max_age=97.5 * DAY, now=NOW)

    assert numbers(tmp_path) == [3, 4]


def test_the_age_of_a_run_counts_from_its_last_word(tmp_path: Path):
    long = make_run(tmp_path, 1, "running")
    make_run(tmp_path, 2, "running")
    os.utime(long / "journal.log", (NOW - DAY, NOW - DAY))

    clean_runs(str(tmp_path), max_age=2 * DAY, now=NOW)

    assert numbers(tmp_path) == [1]


def test_a_run_that_is_in_use_stays(tmp_path: Path):
    used = make_run(tmp_path, 1)
    make_run(tmp_path, 2)
    make_run(tmp_path, 3)
    journal = Journal.open(str(used), IDENTITY)
    touch(used, FIRST)

    clean_runs(str(tmp_path), keep=1, max_age=1.0, now=NOW)
    assert numbers(tmp_path) == [1]
    journal.close()
    touch(used, FIRST)

    clean_runs(str(tmp_path), keep=1, max_age=1.0, now=NOW)
    assert numbers(tmp_path) == []


def test_a_run_that_is_just_beginning_stays(tmp_path: Path):
    for number in (1, 2):
        touch(make_run(tmp_path, number, "running", journal=False), NOW - 1)

    clean_runs(str(tmp_path), keep=1, max_age=0.0, now=NOW)

    assert numbers(tmp_path) == [1, 2]


def test_what_does_not_look_like_a_run_stays(tmp_path: Path):
    for number in (1, 2):
        make_run(tmp_path, number)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "20261122.txt").touch()

    clean_runs(str(tmp_path), keep=1, now=NOW)

    assert len(os.listdir(tmp_path / "runs")) == 3


def test_with_few_runs_nothing_but_one_folder_is_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_run(tmp_path, 1)
    monkeypatch.setattr(retention, "can_resume", pytest.fail)
    monkeypatch.setattr(retention, "last_change", pytest.fail)

    clean_runs(str(tmp_path), now=NOW)

    assert numbers(tmp_path) == [1]


def test_without_any_run_nothing_is_done(tmp_path: Path):
    clean_runs(str(tmp_path), now=NOW)
    clean_runs(str(tmp_path), max_age=1.0, now=NOW)


def test_who_dies_while_cleaning_leaves_no_half_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in (1, 2, 3):
        make_run(tmp_path, number)
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: os._exit(0))
        clean_runs(str(tmp_path), keep=2, now=NOW)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(os.listdir(tmp_path / "runs")) == 3

    clean_runs(str(tmp_path), keep=1, now=NOW)

    assert numbers(tmp_path) == [3]


def test_what_can_not_be_removed_stays_until_the_next_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in (1, 2):
        make_run(tmp_path, number)

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        clean_runs(str(tmp_path), keep=1, now=NOW)
    assert numbers(tmp_path) == [1, 2]

    clean_runs(str(tmp_path), keep=1, now=NOW)
    assert numbers(tmp_path) == [2]


@pytest.mark.parametrize("keep", [0, -1])
def test_at_least_one_run_has_to_stay(tmp_path: Path, keep: int):
    with pytest.raises(ValueError, match=f"keep={keep}"):
        clean_runs(str(tmp_path), keep=keep, now=NOW)
