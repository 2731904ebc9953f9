"""The latest run of an app that its flow did not end is found."""

from __future__ import annotations

from pathlib import Path

import pytest
from old_runs import IDENTITY, make_run

from lightning_lite.errors import JournalInUse, NothingToResume
from lightning_lite.runs.catalog import find_resumable, run_path
from lightning_lite.runs.folder import RunFolder
from lightning_lite.runs.journal import Journal


def test_the_latest_run_that_the_flow_did_not_end_is_found(tmp_path: Path):
    make_run(tmp_path, 1, "failed")
    latest = make_run(tmp_path, 2, "interrupted")
    make_run(tmp_path, 3, "stopped")

    assert find_resumable(str(tmp_path), IDENTITY) == str(latest)


def test_a_run_that_died_is_found(tmp_path: Path):
    make_run(tmp_path, 1, "failed")
    died = make_run(tmp_path, 2, "running")

    assert find_resumable(str(tmp_path), IDENTITY) == str(died)


def test_a_real_folder_of_a_run_is_found_until_the_flow_has_ended_it(tmp_path: Path):
    folder = RunFolder.create(str(tmp_path), app="app", identity=IDENTITY)
    assert find_resumable(str(tmp_path), IDENTITY) is None
    Journal.create(folder.path, IDENTITY).close()

    assert find_resumable(str(tmp_path), IDENTITY) == folder.path == run_path(str(tmp_path), folder.id)

    folder.note_end("stopped")
    assert find_resumable(str(tmp_path), IDENTITY) is None


def test_runs_of_other_apps_and_without_a_journal_are_skipped(tmp_path: Path):
    mine = make_run(tmp_path, 1, "failed")
    make_run(tmp_path, 2, "failed", identity="other.py:Root")
    make_run(tmp_path, 3, "running", journal=False)

    assert find_resumable(str(tmp_path), IDENTITY) == str(mine)
    assert find_resumable(str(tmp_path), "third.py:Root") is None


@pytest.mark.parametrize("text", ["", "{", "[]", "\xff"])
def test_a_run_with_a_damaged_run_json_is_skipped(tmp_path: Path, text: str):
    mine = make_run(tmp_path, 1, "failed")
    (make_run(tmp_path, 2, "failed") / "run.json").write_text(text, encoding="latin-1")

    assert find_resumable(str(tmp_path), IDENTITY) == str(mine)


def test_a_running_run_is_found_and_then_refused(tmp_path: Path):
    make_run(tmp_path, 1, "failed")
    running = make_run(tmp_path, 2, "running")
    holder = Journal.open(str(running), IDENTITY)

    path = find_resumable(str(tmp_path), IDENTITY)

    assert path == str(running)
    with pytest.raises(JournalInUse):
        Journal.open(path, IDENTITY)
    holder.close()


def test_a_root_without_runs_has_nothing_to_resume(tmp_path: Path):
    assert find_resumable(str(tmp_path), IDENTITY) is None


@pytest.mark.parametrize(
    "run_id", ["", ".", "..", "20000001-000000000-000002", "../x", "a\nb", "20000001-000000000-000001/.."]
)
def test_an_unknown_run_is_refused_by_name(tmp_path: Path, run_id: str):
    make_run(tmp_path, 1)

    with pytest.raises(NothingToResume, match="there is no run") as caught:
        run_path(str(tmp_path), run_id)

    assert caught.value.run_id == run_id
    assert "\n" not in str(caught.value)
