"""The runs of a root for the page: newest first, filtered, in pages; a change of one is seen at once."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lightning_lite.monitor import run_list
from lightning_lite.monitor.run_list import RunList, describe_run
from lightning_lite.runs.folder import note_end
from lightning_lite.runs.journal import Journal
from lightning_lite.testing import poll_until

from tests.cli.short_apps import running
from tests.support.processes import DEADLINE
from tests.support.run_folders import make_run_folder, new_run


def make_runs(root: Path, count: int) -> list[str]:
    """Make runs of which the even ones have failed, and the others were stopped; return their ids."""
    ids = [f"20261129-{number:09}-abcdef" for number in range(count)]
    for number, run_id in enumerate(ids):
        make_run_folder(
            root / "runs",
            run_id,
            app=f"App{number % 3}",
            state="stopped" if number % 2 else "failed",
            error=None if number % 2 else "no such file: data.csv",
            started="2026-11-29T04:00:00+00:00",
            ended="2026-11-29T04:00:10+00:00",
            tags=["nightly"] if number % 5 == 0 else [],
            name=f"trial {number}",
            works={"succeeded": 2, "running": 1},
            command=["python", "train.py", f"--lr={number}"],
        )
    return ids


def ids_of(answer: dict[str, object]) -> list[str]:
    return [run["id"] for run in answer["runs"]]


def test_the_newest_runs_come_first_and_the_next_page_goes_on(tmp_path: Path):
    ids = make_runs(tmp_path, 10)
    runs = RunList(str(tmp_path))

    first = runs.page(limit=4)
    second = runs.page(limit=4, before=ids_of(first)[-1])
    last = runs.page(limit=4, before=ids_of(second)[-1])

    assert ids_of(first) + ids_of(second) + ids_of(last) == ids[::-1]
    assert [page["more"] for page in (first, second, last)] == [True, True, False]
    assert (last["total"], last["matching"], last["trouble"]) == (10, 10, "")
    assert last["states"] == {"failed": 5, "stopped": 5}
    assert (last["apps"], last["tags"]) == (["App0", "App1", "App2"], ["nightly"])
    with pytest.raises(ValueError, match="limit must be from 1 to 1000; found 0"):
        runs.page(limit=0)


@pytest.mark.parametrize(
    ("wanted", "numbers"),
    [
        ({"state": "failed"}, [0, 2, 4, 6, 8]),
        ({"app": "App1"}, [1, 4, 7]),
        ({"tag": "nightly"}, [0, 5]),
        ({"text": "TRIAL 3"}, [3]),
        ({"text": "--lr=7"}, [7]),
        ({"text": "data.csv", "app": "App0"}, [0, 6]),
        ({"text": "000000004-ab"}, [4]),
        ({"text": "nightly  app2"}, [5]),
        ({"state": "running"}, []),
    ],
)
def test_runs_are_filtered(tmp_path: Path, wanted: dict[str, str], numbers: list[int]):
    ids = make_runs(tmp_path, 10)

    answer = RunList(str(tmp_path)).page(**wanted)

    assert ids_of(answer) == [ids[number] for number in reversed(numbers)]
    assert (answer["matching"], answer["total"]) == (len(numbers), 10)
    json.dumps(answer)


def test_a_run_is_described(tmp_path: Path):
    make_runs(tmp_path, 1)

    (run,) = RunList(str(tmp_path)).page()["runs"]

    assert run["name"] == "trial 0"
    assert run["ended"] - run["started"] == 10.0
    assert run["works"] == {"succeeded": 2, "lost": 1}
    assert run["command"] == ["python", "train.py", "--lr=0"]
    assert (run["pid"], run["error"], run["can_resume"]) == (None, "no such file: data.csv", False)


def test_an_ended_run_is_read_again_only_after_a_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    make_runs(tmp_path, 5)
    runs = RunList(str(tmp_path))
    before = runs.page()
    read, read_run = [], run_list.read_run
    monkeypatch.setattr(run_list, "read_run", lambda path: read.append(path) or read_run(path))

    assert runs.page() == before
    assert read == []
    note_end(str(tmp_path / "runs" / before["runs"][2]["id"]), "killed")
    assert [run["state"] for run in runs.page()["runs"]].count("killed") == 1
    assert len(read) == 1


def test_a_new_run_its_end_and_its_removal_are_seen(tmp_path: Path):
    runs = RunList(str(tmp_path))
    assert runs.page()["runs"] == []
    folder = new_run(str(tmp_path), app="Root")
    journal = Journal.create(folder.path, "app.py:Root")

    (run,) = runs.page()["runs"]
    assert (run["state"], run["pid"], run["ended"]) == ("running", os.getpid(), None)
    assert runs.find(folder.id).state == "running"
    folder.note_end("failed", {"failed": 1})
    journal.close()
    (run,) = runs.page()["runs"]
    assert (run["state"], run["works"]) == ("failed", {"failed": 1})
    Path(folder.path).rename(tmp_path / "away")
    assert runs.page()["runs"] == []
    assert runs.find(folder.id) is None
    assert runs.find("../runs") is None


def test_a_root_that_is_none_is_no_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "runs").write_text("")

    for name in ("missing", "file", "shared"):
        assert RunList(str(tmp_path / name)).page()["runs"] == []


def test_a_damaged_run_json_is_told_and_the_other_runs_are_listed(tmp_path: Path):
    ids = make_runs(tmp_path, 3)
    (tmp_path / "runs" / ids[1] / "run.json").write_text("{")

    answer = RunList(str(tmp_path)).page()

    assert [bool(run["trouble"]) for run in answer["runs"]] == [False, True, False]
    assert answer["runs"][1]["state"] == "unknown"


def test_a_running_app_answers_how_many_works_it_has(tmp_path: Path):
    with running(tmp_path) as app:
        app.wait_for_output("up")

        poll_until(lambda: RunList(app.root).page()["runs"][0]["works"] == {"running": 2}, DEADLINE)

        (run,) = RunList(app.root).page()["runs"]
        assert run["pid"] == app.process.pid
        app.process.terminate()
        assert app.code() == 143
        (ended,) = RunList(app.root).page()["runs"]
        assert ended["state"] == "interrupted"
        assert ended["can_resume"]
        assert describe_run(app.run, app.root) == ended
