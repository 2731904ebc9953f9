"""Old runs are removed, except runs that are in use, are starting, or can be resumed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from old_runs import IDENTITY, make_run

from lightning_lite.runs import retention
from lightning_lite.runs.folder import creating_run
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.retention import clean_runs


def numbers(root: Path) -> list[int]:
    """Return the numbers of the runs that exist."""
    return sorted(int(name.rpartition("-")[2], 16) for name in os.listdir(root / "runs"))


def test_the_newest_runs_are_kept(tmp_path: Path):
    for number in range(1, 7):
        make_run(tmp_path, number)

    clean_runs(str(tmp_path), keep=4)

    assert numbers(tmp_path) == [3, 4, 5, 6]


def test_the_same_number_of_older_runs_that_can_be_resumed_is_kept(tmp_path: Path):
    for number, state in enumerate(["failed", "running", "interrupted", "stopped", "stopped", "failed"], 1):
        make_run(tmp_path, number, state)

    clean_runs(str(tmp_path), keep=2)

    assert numbers(tmp_path) == [2, 3, 5, 6]


def test_an_older_run_without_a_journal_is_removed(tmp_path: Path):
    make_run(tmp_path, 1, "failed", journal=False)
    make_run(tmp_path, 2, "failed")
    make_run(tmp_path, 3)

    clean_runs(str(tmp_path), keep=1)

    assert numbers(tmp_path) == [2, 3]


def test_a_run_in_use_is_kept(tmp_path: Path):
    used = make_run(tmp_path, 1)
    make_run(tmp_path, 2)
    make_run(tmp_path, 3)
    journal = Journal.open(str(used), IDENTITY)

    clean_runs(str(tmp_path), keep=1)
    assert numbers(tmp_path) == [1, 3]
    journal.close()

    clean_runs(str(tmp_path), keep=1)
    assert numbers(tmp_path) == [3]


def test_a_run_that_is_starting_is_kept(tmp_path: Path):
    with creating_run(str(tmp_path)):
        for number in (1, 2):
            make_run(tmp_path, number, "running", journal=False)
        clean_runs(str(tmp_path), keep=1)

        assert numbers(tmp_path) == [1, 2]


def test_files_that_are_not_runs_are_kept(tmp_path: Path):
    for number in (1, 2):
        make_run(tmp_path, number)
    (tmp_path / "runs" / "notes").mkdir()
    (tmp_path / "runs" / "20261122.txt").touch()

    clean_runs(str(tmp_path), keep=1)

    assert len(os.listdir(tmp_path / "runs")) == 3


def test_with_few_runs_only_one_folder_is_listed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_run(tmp_path, 1)
    monkeypatch.setattr(retention, "can_resume", pytest.fail)

    clean_runs(str(tmp_path))

    assert numbers(tmp_path) == [1]


def test_a_root_without_runs_is_no_error(tmp_path: Path):
    clean_runs(str(tmp_path))


def test_a_cleaner_that_dies_leaves_no_part_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for number in (1, 2, 3):
        make_run(tmp_path, number)
    pid = os.fork()
    if pid == 0:
        monkeypatch.setattr(shutil, "rmtree", lambda *_, **__: os._exit(0))
        clean_runs(str(tmp_path), keep=2)
        os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    assert len(os.listdir(tmp_path / "runs")) == 3

    clean_runs(str(tmp_path), keep=1)

    assert numbers(tmp_path) == [3]


def test_a_run_that_can_not_be_removed_is_kept_until_the_next_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    for number in (1, 2):
        make_run(tmp_path, number)

    def refuse(*_: object) -> None:
        raise PermissionError

    with monkeypatch.context() as patch:
        patch.setattr(os, "rename", refuse)
        clean_runs(str(tmp_path), keep=1)
    assert numbers(tmp_path) == [1, 2]

    clean_runs(str(tmp_path), keep=1)
    assert numbers(tmp_path) == [2]


@pytest.mark.parametrize("keep", [0, -1])
def test_at_least_one_run_must_be_kept(tmp_path: Path, keep: int):
    with pytest.raises(ValueError, match=f"keep={keep}"):
        clean_runs(str(tmp_path), keep=keep)
