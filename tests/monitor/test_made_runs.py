"""The runs that benchmarks and tests make without an app are read like real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.made_runs import SMALL, make_log, make_root, make_run
from lightning_lite.engine.history import read_history
from lightning_lite.monitor.run_status import read_status
from lightning_lite.runners.output.log_reader import LogReader, list_logs
from lightning_lite.runs.catalog import read_runs


@pytest.mark.parametrize("is_ended", [True, False])
def test_a_made_run_has_its_calls_and_failures(own_place: Path, is_ended: bool):
    root = str(own_place.parent / "root")
    path = make_run(root, SMALL._replace(works=4, calls=250, failing=50, is_ended=is_ended), began=1000.0)
    works = read_history(path).works
    assert len(works) == 4
    assert sum(work.records.num_calls for work in works.values()) == 250
    # Each fiftieth call fails once, and each second one of these again.
    assert sum(work.records.num_failures for work in works.values()) == 5 + 3
    assert sum(work.records.num_successes for work in works.values()) == 250 - 3
    (run,) = read_runs(root)
    assert run.state == ("stopped" if is_ended else "died")
    assert len(read_status(run).works) == 4


def test_a_made_root_has_many_runs(own_place: Path):
    paths = make_root(str(own_place.parent / "root"), 11)
    runs = read_runs(str(own_place.parent / "root"))
    assert sorted(run.path for run in runs) == sorted(paths)
    assert {run.app for run in runs} == {f"Search{number}" for number in range(5)}
    assert sorted(run.state for run in runs) == ["died"] * 2 + ["stopped"] * 9


def test_a_made_log_has_its_lines_and_times(own_place: Path):
    run = make_run(str(own_place.parent / "root"))
    path = make_log(run, "root.works.0", 2500, began=1000.0, seconds=250.0, needle="needle <b>")
    assert list_logs(os.path.dirname(path)) == ["root.works.0"]
    lines = list(LogReader(path, "root.works.0").read(to_end=True))
    assert len(lines) == 2501
    assert sum("needle <b>" in line.text for line in lines) == 1
    assert {line.time for line in lines} == {1000.0, 1100.0, 1200.0}
