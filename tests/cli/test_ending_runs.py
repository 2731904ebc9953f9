"""Verbs that end whole runs: in order or at once; while the flow is busy, suspended or without a channel."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path
from typing import Any

import psutil
import pytest

from lightning_lite.testing import poll_until

from tests.cli.short_apps import RunningApp, running
from tests.cli.verbs import call, is_refused
from tests.support.processes import DEADLINE, is_gone

pytestmark = pytest.mark.dependencies

Capture = pytest.CaptureFixture[str]


#: A flow that catches each exception, also the one that ends it.
SWALLOWING = """
import threading
from lightning_lite import LightningApp, LightningFlow

class Root(LightningFlow):
    def run(self):
        print("up", flush=True)
        while True:
            try:
                threading.Event().wait(1000)
            except BaseException:
                pass

LightningApp(Root()).run()
"""


def works_of(app: RunningApp, capfd: Capture) -> dict[str, Any]:
    data = call(capfd, "status", "--json", "--root", app.root).data
    return {work["name"].removeprefix("root."): work for work in data["works"]}


def pids_of(app: RunningApp, capfd: Capture) -> list[int]:
    return [work["pid"] for work in works_of(app, capfd).values()]


@pytest.mark.parametrize(
    ("how", "folder"), [("--busy", "."), ("--no-channel", "."), ("--handler", "long" * 30)]
)
def test_stop_ends_a_run_in_order_even_if_it_is_busy_or_ignores_commands(
    tmp_path: Path, capfd: Capture, how: str, folder: str
):
    """With a handler, only the channel can end it; its path is then too long for a socket."""
    with running(tmp_path, how, root=str(tmp_path / folder / "root")) as app:
        app.wait_for_output("up")
        data = call(capfd, "status", "--json", "--root", app.root).data
        assert (data["state"], data["is_answering"]) == ("running", how != "--no-channel")
        assert [work["state"] for work in data["works"]] == ["running", "running"]
        if how == "--no-channel":  # the status is read from its files
            is_refused(call(capfd, "stop", "one", "--root", app.root), 1, "takes no commands")
            is_refused(call(capfd, "stack", "--root", app.root), 1, "takes no commands")

        output = call(capfd, "stop", "--root", app.root)

        assert (output.code, output.out) == (0, f"{app.run.id}: interrupted\n"), output
        assert app.code() == 128 + signal.SIGTERM
        assert "one | on_exit has run" in app.output
        assert not os.path.exists(os.path.join(app.run.path, "commands.sock"))
        assert app.run.details["works"] == {"stopped": 2}
        is_refused(call(capfd, "stop", "--root", app.root), 2, "is not running", "was interrupted")


#: A flow with a work that has had a call, one that has had none, and one that starts with its first call.
RESTED = """
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Once(LightningWork):
    def run(self):
        return 1

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.once, self.idle, self.late = Once(), Once(), Once(start_with_flow=False)
    def run(self):
        print("up", self.once.run(), flush=True)

LightningApp(Root()).run(on_idle="wait")
"""


def test_ps_and_status_agree_on_a_work_that_was_restarted_after_its_call(tmp_path: Path, capfd: Capture):
    with running(tmp_path, source=RESTED) as app:
        app.wait_for_output("up 1")
        assert call(capfd, "restart", "once", "--root", app.root).code == 0
        poll_until(lambda: works_of(app, capfd)["once"]["state"] == "started", DEADLINE)

        assert call(capfd, "stop", "--root", app.root).code == 0

        states = {name: work["state"] for name, work in works_of(app, capfd).items()}
        assert states == {"once": "succeeded", "idle": "not started", "late": "not started"}
        (run,) = call(capfd, "ps", "--json", "--root", app.root).data
        assert run["works"] == {"not started": 2, "succeeded": 1}


def test_kill_ends_a_run_at_once_with_all_its_works_and_it_can_be_resumed(tmp_path: Path, capfd: Capture):
    with running(tmp_path, "--busy") as app:
        app.wait_for_output("up")
        pids = pids_of(app, capfd)

        output = call(capfd, "kill", "--root", app.root)

        assert (output.code, output.out) == (0, f"{app.run.id}: killed\n"), output
        assert app.code() == -signal.SIGKILL
        assert all(map(is_gone, pids))
        assert app.run.state == "killed"
        assert {work["state"] for work in works_of(app, capfd).values()} == {"lost"}


def test_works_are_stopped_and_killed_at_once_while_the_flow_is_busy(tmp_path: Path, capfd: Capture):
    with running(tmp_path, "--busy") as app:
        app.wait_for_output("up")
        one, other = pids_of(app, capfd)
        busy = call(capfd, "status", "--json", "--root", app.root).data["busy"]

        stopped = call(capfd, "stop", "one", "--root", app.root)
        killed = call(capfd, "kill", "other", "--root", app.root)

        assert busy > 0
        assert (stopped.out, killed.out) == ("root.one: stopped\n", "root.other: killed\n")
        assert is_gone(one)
        assert is_gone(other)
        assert {work["state"] for work in works_of(app, capfd).values()} == {"gone"}
        stack = call(capfd, "stack", "--root", app.root).out
        assert "threading.Event().wait(0.1)" in stack
        call(capfd, "stop", "--root", app.root)
        assert {work["state"] for work in works_of(app, capfd).values()} == {"stopped"}


def test_a_flow_sees_that_a_work_was_stopped_and_a_run_whose_process_was_killed_has_died(
    tmp_path: Path, capfd: Capture
):
    with running(tmp_path) as app:
        app.wait_for_output("up")
        call(capfd, "stop", "one", "--root", app.root)
        app.wait_for_output("one has stopped")
        assert app.process.poll() is None
        app.process.kill()
        app.code()

        (listed,) = call(capfd, "ps", "--json", "--root", app.root).data

        assert (listed["state"], listed["pid"], listed["works"]) == ("died", None, {"lost": 1, "stopped": 1})
        is_refused(call(capfd, "stop", "--root", app.root), 2, app.run.id, "has died")
        is_refused(call(capfd, "kill", "--root", app.root), 2, app.run.id, "has died")


def test_stop_says_that_it_waits_for_a_run_that_does_not_end(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
):
    with running(tmp_path, source=SWALLOWING) as app:
        app.wait_for_output("up")

        with monkeypatch.context() as patch:
            patch.setattr("lightning_lite.monitor.control._PATIENCE", 0.2)
            patch.setattr("lightning_lite.monitor.control._EXIT_TIMEOUT", 0.5)
            output = call(capfd, "stop", "--root", app.root)

        advice = f"`lightning-lite kill {app.run.id}` ends it at once"
        assert (output.code, output.out) == (1, "")
        assert output.err.splitlines() == [
            f"run {app.run.id} has not ended yet; waiting 0.3 s more. {advice}.",
            f"Error: run {app.run.id} has not ended yet; {advice}",
        ]
        assert call(capfd, "kill", "--root", app.root).code == 0


def test_stop_ends_a_suspended_run_in_order(tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lightning_lite.monitor.control.ANSWER_TIMEOUT", 0.2)
    with running(tmp_path) as app:
        app.wait_for_output("up")
        app.process.send_signal(signal.SIGTSTP)
        process = psutil.Process(app.process.pid)
        poll_until(lambda: process.status() == psutil.STATUS_STOPPED, DEADLINE)

        output = call(capfd, "stop", "--root", app.root)

        assert output.code == 0, output
        assert app.code() == 128 + signal.SIGTERM
        assert "one | on_exit has run" in app.output


def test_works_of_the_inline_runner_can_be_stopped_but_not_killed(
    tmp_path: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("LIGHTNING_LITE_RUNNER", "inline")
    with running(tmp_path) as app:
        app.wait_for_output("up")

        is_refused(
            call(capfd, "kill", "one", "--root", app.root), 1, "no process that could be killed", "Stop it"
        )
        assert "in run" in call(capfd, "stack", "one", "--root", app.root).out
        assert "asked to stop" in call(capfd, "stop", "other", "--root", app.root).out
        poll_until(lambda: works_of(app, capfd)["other"]["state"] == "stopped", DEADLINE)
        assert works_of(app, capfd)["one"]["state"] == "running"
        assert call(capfd, "stop", "--root", app.root).code == 0
        assert app.code() == 128 + signal.SIGTERM


#: A flow that has nothing to do.
WITHOUT_WORKS = """
from lightning_lite import LightningApp, LightningFlow

class Root(LightningFlow):
    def run(self):
        print("up", flush=True)

LightningApp(Root()).run(on_idle="wait")
"""


def test_if_several_runs_are_running_one_must_be_named(tmp_path: Path, capfd: Capture):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    root = str(tmp_path / "root")
    with (
        running(tmp_path / "a", source=WITHOUT_WORKS, root=root) as first,
        running(tmp_path / "b", source=WITHOUT_WORKS, root=root) as second,
    ):
        first.wait_for_output("up")
        second.wait_for_output("up")

        output = call(capfd, "stop", "--root", root)

        is_refused(output, 2, "2 runs are still running", "(Root)")
        ids = re.findall(r"\d{8}-\d{9}-[0-9a-f]{6}", output.err)
        for run in ids:
            assert call(capfd, "stop", run, "--root", root).code == 0
        assert {first.code(), second.code()} == {128 + signal.SIGTERM}
