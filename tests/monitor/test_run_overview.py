"""The overview of a run: from the app while it answers, else from the journal alone."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.monitor import run_overview as overviews
from lightning_lite.monitor.follower import RunFollower
from lightning_lite.monitor.run_overview import RunOverview
from lightning_lite.runs.catalog import read_runs
from lightning_lite.testing import LightningTestApp, poll_until

from tests.cli.short_apps import RunningApp, running
from tests.support.processes import DEADLINE, suspended


class Work(LightningWork):
    def __init__(self, **options):
        super().__init__(raise_exception=False, **options)
        self.progress = 0.0

    def run(self, x):
        self.progress = 0.5
        if x == "bad":
            raise ValueError("no such thing")
        return x


class Part(LightningFlow):
    def __init__(self):
        super().__init__()
        self.second = Work(retries=1, retry_delay=0.0)

    def run(self):
        self.second.run("bad")


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.first, self.part, self.gone = Work(), Part(), Work()

    def run(self):
        self.first.run(1)
        self.first.run(2)
        self.part.run()
        if self.gone is not None:
            self.gone.run(3)
        self.stop()


def describe(run_root: str, follower: RunFollower | None = None) -> dict[str, object]:
    run = read_runs(run_root)[-1]
    follower = follower or RunFollower(run.path)
    follower.follow(60.0)
    found = RunOverview(follower).describe(run, run_root)
    json.dumps(found)
    return found


def test_an_ended_run_is_shown_from_its_journal():
    LightningTestApp(Root()).run(runner="inline")

    found = describe(os.environ["LIGHTNING_LITE_ROOT"])

    assert [(one["name"], one["kind"]) for one in found["components"]] == [
        ("root", "flow"),
        ("root.first", "work"),
        ("root.gone", "work"),
        ("root.part", "flow"),
        ("root.part.second", "work"),
    ]
    assert [one["class"].rpartition(".")[2] for one in found["components"]] == [
        "Root",
        "Work",
        "Work",
        "Part",
        "Work",
    ]
    works = {work["name"]: work for work in found["works"]}
    first, second = works["root.first"], works["root.part.second"]
    assert (first["state"], first["call"], first["calls"], first["succeeded"]) == ("succeeded", 2, 2, 2)
    assert (second["state"], second["attempt"], second["failed"], second["progress"]) == ("failed", 2, 2, 0.5)
    assert "ValueError: no such thing" in second["message"]
    assert found["errors"]["total"] == 2
    assert [(one["work"], one["call"], one["attempt"]) for one in found["errors"]["items"]] == [
        ("root.part.second", 1, 1),
        ("root.part.second", 1, 2),
    ]
    assert (found["answering"], found["busy"], found["trouble"]) == (False, None, "")
    assert found["read"]["bytes"] == found["read"]["of"] > 0
    assert found["run"]["works"] == {"succeeded": 2, "failed": 1}
    assert found["last_event"] <= found["now"]


def test_the_last_line_of_the_log_of_a_work_is_shown():
    LightningTestApp(Root()).run(runner="inline")
    root = os.environ["LIGHTNING_LITE_ROOT"]
    run = read_runs(root)[-1]
    log = Path(run.path, "logs", "root.first.log")
    log.write_text("one\n\x1b[31mtwo\x1b[0m\n\n")
    overview = RunOverview(follower := RunFollower(run.path))
    follower.follow(60.0)

    def line() -> str:
        works = overview.describe(run, root)["works"]
        return next(work["last_line"] for work in works if work["name"] == "root.first")

    assert line() == "two"
    with log.open("a") as file:
        file.write("x" * 1000)
    assert line() == "x" * 300
    log.unlink()
    assert line() == ""


def test_a_removed_run_shows_what_was_read_and_says_so():
    LightningTestApp(Root()).run(runner="inline")
    root = os.environ["LIGHTNING_LITE_ROOT"]
    run = read_runs(root)[-1]
    follower = RunFollower(run.path)
    overview = RunOverview(follower)
    follower.follow(60.0)
    shutil.rmtree(run.path)
    follower.follow()

    found = overview.describe(run, root)

    assert "the run was removed" in found["trouble"]
    assert len(found["works"]) == 3


@pytest.fixture
def app(tmp_path: Path) -> Iterator[RunningApp]:
    with running(tmp_path) as app:
        app.wait_for_output("up")
        yield app
        app.process.terminate()
        assert app.code() == 143


def test_a_running_app_answers_and_its_processes_are_measured(app: RunningApp):
    follower = RunFollower(app.run.path)
    overview = RunOverview(follower)
    follower.follow(60.0)

    def look() -> dict[str, object] | None:
        described = overview.describe(app.run, app.root)
        return described if described["answering"] else None

    found = poll_until(look, DEADLINE)  # a busy machine may not let the app answer in time

    assert found["trouble"] == ""
    assert [work["state"] for work in found["works"]] == ["running", "running"]
    assert all(work["memory"] > 2**20 and work["cpu"] is not None for work in found["works"])
    assert all(work["calls"] == 1 for work in found["works"])
    usage = overview.usage(app.run)
    assert usage["works"].keys() == {"root.one", "root.other"}
    assert len(usage["app"]) >= 1
    json.dumps(usage)
    assert overview.usage(app.run, since=usage["app"][0][0] + 1000)["app"] == []


def test_an_app_that_does_not_answer_is_shown_from_its_journal_with_the_reason(
    app: RunningApp, monkeypatch: pytest.MonkeyPatch
):
    asked, ask_app = [], overviews.ask_app
    monkeypatch.setattr(overviews, "_NO_ANSWER_AGE", 1000.0)
    monkeypatch.setattr(overviews, "ask_app", lambda *args: asked.append(args) or ask_app(*args))
    follower = RunFollower(app.run.path)
    overview = RunOverview(follower)
    follower.follow(60.0)
    with suspended(app.process.pid):
        found = overview.describe(app.run, app.root)
        again = overview.describe(app.run, app.root)

    for one in (found, again):
        assert not one["answering"]
        assert "does not answer within 0.3 s" in one["trouble"]
        assert [work["state"] for work in one["works"]] == ["running", "running"]
        assert [work["pid"] is not None for work in one["works"]] == [True, True]
    assert len(asked) == 1
    monkeypatch.setattr(overviews, "_NO_ANSWER_AGE", 0.0)
    poll_until(lambda: overview.describe(app.run, app.root)["answering"], DEADLINE)
