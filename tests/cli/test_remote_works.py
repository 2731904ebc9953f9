"""Verbs on works that are on another host, whose process ids belong to a stranger here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lightning_lite.monitor.run_status import read_status
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.testing import poll_until

from tests.cli.short_apps import RunningApp, running
from tests.cli.verbs import Verb, call, work_of
from tests.support.other_node import HOST
from tests.support.processes import DEADLINE

pytestmark = pytest.mark.dependencies

PROJECT = Path(__file__).parents[2]

#: `steered_app` with another runner, and only the works that these tests use: each is an interpreter.
_APP = Path(__file__).with_name("steered_app.py").read_text()
for _old, _new in (
    ("Steered()).run()", 'Steered()).run(runner="ray")'),
    ("        self.once = Once()\n", ""),
    ("        self.once.run(1)\n", ""),
    ("self.stubborn, self.hasty = Stubborn(), Stubborn()", "self.stubborn = Stubborn()"),
    ("        self.hasty.run()\n", ""),
    ("        self.part = Part()\n", ""),
    ("        self.part.run()\n", ""),
    ("from __future__ import annotations\n", ""),
):
    assert _old in _APP, _old
    _APP = _APP.replace(_old, _new)

SOURCE = f"""
import sys
sys.path.insert(0, {str(PROJECT)!r})
from tests.support.other_node import use_other_node
use_other_node(int(sys.argv[1]))
sys.path.pop(0)
{_APP}
"""


@pytest.fixture(scope="module")
def bystander() -> Iterator[psutil.Process]:
    """A process of this machine that notes each signal that could be handled."""
    program = (
        "import os, signal\n"
        "for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGHUP):\n"
        "    signal.signal(number, lambda number, frame: print(number, flush=True))\n"
        "print('ready', flush=True)\n"
        "while True: signal.pause()\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE)
    assert process.stdout is not None
    with process:
        assert process.stdout.readline() == b"ready\n"
        yield psutil.Process(process.pid)
        assert process.poll() is None
        process.kill()
        assert process.stdout.read() == b""
    assert process.returncode == -signal.SIGKILL


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory, bystander: psutil.Process) -> Iterator[RunningApp]:
    """A run of `steered_app`, each work of which has the process id of the bystander on another host."""
    folder = tmp_path_factory.mktemp("remote")
    with running(folder, str(bystander.pid), source=SOURCE) as app:

        def is_up() -> bool:
            assert app.process.poll() is None, app.output
            if not read_runs(app.root):
                return False
            works = read_status(app.run, journal=False).works
            return works != [] and all(work.state in ("running", "succeeded") for work in works)

        poll_until(is_up, DEADLINE)
        yield app
        app.process.terminate()
        assert app.code() == 143, app.output


@pytest.fixture
def run(app: RunningApp) -> RunSummary:
    return app.run


@pytest.fixture
def verb(app: RunningApp, capfd: pytest.CaptureFixture[str]) -> Verb:
    return lambda *words: call(capfd, *words, "--root", app.root)


def test_its_process_is_shown_with_its_host_and_not_measured(verb: Verb, bystander: psutil.Process):
    train, top = work_of(verb, "train"), verb("top")
    (sample,) = (work for work in verb("top", "--json").data["works"] if work["name"] == "root.train")

    assert (train["host"], train["pid"], train["state"]) == (HOST, bystander.pid, "running")
    assert (train["cpu"], train["memory"]) == (None, None)
    assert (sample["host"], sample["cpu"], sample["memory"]) == (HOST, None, None)
    assert f"{bystander.pid} on {HOST}" in verb("status").out
    assert f"on other hosts, not measured: {HOST}" in top.out.splitlines()[0]
    assert verb("ps", "--json").data[0]["works"]["running"] > 0


def test_the_journal_alone_names_its_host(app: RunningApp):
    status = read_status(app.run._replace(holder=None))

    assert {work.place.host for work in status.works if work.place is not None} - {"n3"} == {HOST}


def test_its_output_and_its_stacks_arrive_here(verb: Verb):
    poll_until(lambda: "train 2" in verb("logs", "train").out, DEADLINE)
    # The line is there a moment before the work waits.
    poll_until(lambda: "in wait_for_ever" in verb("stack", "train").out, DEADLINE)
    output = verb("stack", "train")

    assert output.code == 0, output
    assert "in wait_for_ever" in output.out
    assert f"on {HOST}" in output.out


@pytest.mark.parametrize("words", [("stop", "stopped"), ("kill", "killed")])
def test_it_is_stopped_and_killed_and_the_stranger_is_not(
    words: tuple[str, str], verb: Verb, bystander: psutil.Process
):
    output = verb(*words)

    assert output.code == 0, output
    poll_until(lambda: work_of(verb, words[1])["state"] == "stopped", DEADLINE)
    assert bystander.status() == psutil.STATUS_SLEEPING


def test_it_is_killed_if_it_does_not_end_in_time(verb: Verb, bystander: psutil.Process):
    output = verb("stop", "-t", "0.2", "stubborn")

    assert "root.stubborn: killed, because it did not end within 0.2 s" in output.out
    assert bystander.status() == psutil.STATUS_SLEEPING


def test_it_is_restarted_on_another_host(verb: Verb, bystander: psutil.Process):
    output = verb("restart", "restarted")

    assert (output.code, output.out) == (0, f"root.restarted: restarted, process {bystander.pid} on n3\n")


def test_ctrl_z_is_refused_in_one_line(app: RunningApp):
    app.process.send_signal(signal.SIGTSTP)

    app.wait_for_output(
        "Ctrl-Z is ignored: works on other machines are stopped when the app sends no messages."
    )
    assert psutil.Process(app.process.pid).status() != psutil.STATUS_STOPPED
    os.kill(app.process.pid, signal.SIGCONT)
