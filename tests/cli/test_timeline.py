"""`lightning-lite timeline`: valid traces of running, ended and dead runs."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.engine.history import RunHistory
from lightning_lite.events import CallAsked, CallStatusChanged, ComponentAttached, RunBegun, WorkStatusChanged
from lightning_lite.monitor.perfetto import trace
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.status import WorkStatus
from lightning_lite.testing import LightningTestApp

from tests.cli.trace_format import check_trace
from tests.cli.verbs import call, is_refused
from tests.support.run_folders import runs_folder

pytestmark = pytest.mark.dependencies


class Train(LightningWork):
    def __init__(self):
        super().__init__(raise_exception=False, retries=1, retry_delay=0.0)

    def run(self, step, note=""):
        if step == 2:
            raise ValueError("unlucky")


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.train, self.other = Train(), Train()

    def run(self):
        self.train.run(1, note="x" * 200)
        self.train.run(2)
        self.other.run(3)
        self.stop()


def run_app(app: LightningApp | None = None) -> None:
    (app or LightningApp(Root())).run(runner="inline")


def pick(events: Iterable[dict[str, Any]], phase: str, **fields: Any) -> list[dict[str, Any]]:
    return [event for event in events if event["ph"] == phase and fields.items() <= event.items()]


def test_a_trace_has_a_slice_for_each_attempt_on_the_track_of_its_work(capfd: pytest.CaptureFixture[str]):
    run_app()

    output = call(capfd, "timeline", "-o", "t.json")

    assert output.code == 0
    assert output.out.startswith("t.json: run 2")
    assert "4 attempts of calls; open it in https://ui.perfetto.dev" in output.out
    data = json.loads(Path("t.json").read_text())
    events = check_trace(data)
    tracks = {
        event["tid"]: event["args"]["name"] for event in pick(data["traceEvents"], "M", name="thread_name")
    }
    assert tracks == {0: "flow", 1: "root.train", 2: "root.other"}
    slices = pick(events, "X")
    assert [
        (tracks[event["tid"]], event["args"]["attempt"], event["args"]["outcome"]) for event in slices
    ] == [
        ("root.train", 1, "succeeded"),
        ("root.train", 1, "failed"),
        ("root.train", 2, "failed"),
        ("root.other", 1, "succeeded"),
    ]
    assert slices[0]["name"].startswith("run(1, note='xxx")
    assert len(slices[0]["name"]) <= 120
    assert slices[1]["name"] == "run(2)"
    assert slices[1]["args"]["message"].startswith("ValueError: unlucky in root.train.run(2)")
    assert {event["args"]["works"] for event in pick(events, "C")} == {0, 1}
    assert pick(events, "C")[-1]["args"] == {"works": 0}
    assert [event["name"] for event in pick(events, "i", cat="run")] == ["begun", "stopped"]
    assert pick(events, "i", name="turn")
    assert data["otherData"]["app"] == "Root"


def test_the_standard_output_has_only_the_trace(capfd: pytest.CaptureFixture[str]):
    run_app()
    (run,) = runs_folder().iterdir()

    output = call(capfd, "timeline", run.name, "-o", "-")

    check_trace(output.data)
    assert output.err == ""


def test_a_running_run_is_drawn_until_now_and_a_dead_one_until_its_last_event(
    capfd: pytest.CaptureFixture[str], tmp_path: Path
):
    outcomes, copies = [], []

    class Watched(LightningTestApp):
        def on_after_run_once(self):
            events = check_trace(call(capfd, "timeline", "-o", "-").data)
            outcomes.append({event["args"]["outcome"] for event in pick(events, "X")})
            assert pick(events, "i", name="stopped") == []
            running = [event for event in pick(events, "X") if event["args"]["outcome"] == "running"]
            assert not running or pick(events, "C")[-1]["args"] == {"works": len(running)}
            (run,) = runs_folder().iterdir()
            target = tmp_path / f"copy-{len(copies)}" / "runs" / run.name
            shutil.copytree(run, target, ignore=shutil.ignore_patterns("*.sock"))
            facts = json.loads((target / "run.json").read_text())
            facts["started"] = "2026-01-01T00:00:00+00:00"  # not just now
            (target / "run.json").write_text(json.dumps(facts))
            copies.append(target.parent.parent)

    run_app(Watched(Root()))

    assert any({"running", "succeeded"} <= found for found in outcomes)
    for copy in copies:
        events = check_trace(call(capfd, "timeline", "--root", copy, "-o", "-").data)
        assert pick(events, "i", name="died")
        assert "running" not in {event["args"]["outcome"] for event in pick(events, "X")}


def apply_events(history: RunHistory, begun: float, *statuses: tuple[Any, ...], last: float = 0.0) -> None:
    """Apply the events of one process: a call of `root.a`, its statuses, and a last event of `root.b`."""
    history.apply(RunBegun(begun))
    for name in ("root.a", "root.b"):
        history.apply(ComponentAttached(name, begun, True, ("app.py", "Work"), {}))
    history.apply(CallAsked("root.a", "k", begun + 1, 1, None))
    for status in statuses:
        history.apply(CallStatusChanged("root.a", "k", status[1], 1, WorkStatus(*status)))
    if last:
        history.apply(WorkStatusChanged("root.b", last, WorkStatus("stopped", last)))


def test_deaths_are_instants_and_durations_are_not_negative_if_a_clock_is_set_back():
    history = RunHistory()
    apply_events(
        history,
        100.0,
        ("running", 102.0, None, "", 1),
        ("failed", 90.0, "crashed", "signal 9", 1),
        ("running", 103.0, None, "", 2),
        last=95.0,
    )
    run = RunSummary("run", "/nowhere", {"started": "garbage"}, "died", None)

    events = check_trace(trace(run, history, 200.0))

    assert [(event["ts"], event["dur"]) for event in pick(events, "X")] == [(2_000_000, 0), (3_000_000, 0)]
    assert [event["args"]["outcome"] for event in pick(events, "X")] == ["failed", "lost"]
    assert pick(events, "i", name="crashed")[0]["args"] == {"message": "signal 9"}
    assert pick(events, "i", name="stopped", cat="process")[0]["ts"] == 0


def test_a_lost_attempt_ends_with_the_last_event_of_its_process():
    history = RunHistory()
    for begun in (100.0, 200.0):
        apply_events(history, begun, ("running", begun + 2, None, "", 1), last=begun + 5)

    events = check_trace(trace(RunSummary("run", "/nowhere", {}, "running", None), history, 300.0))

    assert [(event["args"]["outcome"], event["dur"]) for event in pick(events, "X")] == [
        ("lost", 3_000_000),
        ("running", 98_000_000),
    ]
    assert [event["args"]["works"] for event in pick(events, "C")] == [1, 0, 1]
    assert [event["name"] for event in pick(events, "i", cat="run")] == ["begun", "resumed"]


def test_a_run_without_calls_gives_a_valid_trace():
    check_trace(trace(RunSummary("run", "/nowhere", {}, "unknown", None), RunHistory(), 200.0))


def test_invalid_input_is_refused_in_one_line(capfd: pytest.CaptureFixture[str]):
    is_refused(call(capfd, "timeline"), 2, "is not the root of an app")
    run_app()
    (run,) = runs_folder().iterdir()

    is_refused(call(capfd, "timeline", "20991231"), 2, "'20991231'")
    is_refused(call(capfd, "timeline", "-o", "/nowhere/t.json"), 1, "/nowhere/t.json")
    journal = run / "journal.log"
    data = journal.read_bytes()
    journal.write_bytes(data[:200] + data[201:])
    is_refused(call(capfd, "timeline"), 1, "journal.log", "damaged")
    journal.unlink()
    is_refused(call(capfd, "timeline"), 1, "there is no journal")
    assert not Path("trace.json").exists()
