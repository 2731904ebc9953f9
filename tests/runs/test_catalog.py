"""The summaries of runs, read from their locks and from `run.json`."""

from __future__ import annotations

import json
import os
from pathlib import Path

from lightning_lite.runs.catalog import read_run, read_runs
from lightning_lite.runs.folder import RunFolder, note_end
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.lock import find_holder

from tests.support.run_folders import new_run


def begin(root: Path) -> tuple[RunFolder, Journal]:
    run = new_run(str(root), app="Root")
    return run, Journal.create(run.path, "app.py:Root")


def test_a_run_whose_lock_is_held_is_running(tmp_path: Path):
    run, journal = begin(tmp_path)

    seen = read_run(run.path)
    journal.close()

    assert (seen.id, seen.app, seen.state) == (run.id, "Root", "running")
    assert seen.holder is not None
    assert (seen.holder.pid, seen.holder.host) == (os.getpid(), os.uname().nodename)
    assert seen.started is not None
    assert seen.ended is None


def test_a_run_without_an_end_whose_lock_is_free_has_died(tmp_path: Path):
    run, journal = begin(tmp_path)
    journal.close()

    assert read_run(run.path).state == "died"
    assert find_holder(run.path) is None


def test_a_run_that_is_starting_is_running(tmp_path: Path):
    run = new_run(str(tmp_path), app="Root")

    assert read_run(run.path).state == "running"


def test_the_summary_of_an_ended_run_has_its_end(tmp_path: Path):
    run, journal = begin(tmp_path)
    run.note_end("failed", {"succeeded": 2, "failed": 1})
    journal.close()

    seen = read_run(run.path)
    assert seen.state == "failed"
    assert seen.details["works"] == {"succeeded": 2, "failed": 1}
    assert seen.started is not None
    assert seen.ended is not None
    assert seen.started <= seen.ended

    note_end(run.path, "killed")
    assert read_run(run.path).state == "killed"
    assert read_run(run.path).details["app"] == "Root"


def test_reading_a_run_does_not_lock_it(tmp_path: Path):
    run, journal = begin(tmp_path)
    journal.close()

    read_run(run.path)
    Journal.open(run.path, "app.py:Root").close()


def test_an_edited_run_json_is_no_error(tmp_path: Path):
    run, journal = begin(tmp_path)
    journal.close()
    for text in ("", "[]", "{}", json.dumps({"started": 7, "state": ["x"]})):
        Path(run.path, "run.json").write_text(text)
        (seen,) = read_runs(str(tmp_path))
        assert seen.holder is None
        assert seen.started is None
