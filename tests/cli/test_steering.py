"""Verbs on one app that keeps running; a test that ends a work has an app of its own."""

from __future__ import annotations

import json
import os
import pty
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil
import pytest
import steered_app

from lightning_lite import places
from lightning_lite.cli.control import is_gone, wait_until
from lightning_lite.runs.catalog import RunSummary, read_runs

from tests.cli.verbs import Said, call, says_in_one_line

pytestmark = pytest.mark.dependencies

PATIENCE = 60.0
WORKS = ["killed", "once", "part.inner", "restarted", "stopped", "stubborn", "train"]

Call = Callable[..., Said]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunSummary]:
    """A run of `steered_app` whose works are all busy."""
    folder = tmp_path_factory.mktemp("steered")
    root = folder / "root"
    with open(folder / "out", "wb") as out:
        process = subprocess.Popen(
            [sys.executable, steered_app.__file__],
            env={**os.environ, "LIGHTNING_LITE_ROOT": str(root)},
            cwd=folder,
            stdout=out,
            stderr=out,
        )

    def is_up() -> bool:
        assert process.poll() is None, (folder / "out").read_text()
        runs = read_runs(str(root))
        return bool(runs) and len(list(Path(runs[0].path, "logs").glob("*.log"))) == 5

    try:
        assert wait_until(is_up, PATIENCE), (folder / "out").read_text()
        yield read_runs(str(root))[0]
        process.terminate()
        assert process.wait(PATIENCE) == 143
    finally:
        process.kill()
        process.wait()


@pytest.fixture
def verb(run: RunSummary, capfd: pytest.CaptureFixture[str]) -> Call:
    """Call a verb with the root of the run."""
    root = os.path.dirname(os.path.dirname(run.path))
    return lambda *words: call(capfd, *words, "--root", root)


def work_of(verb: Call, name: str) -> Any:
    return next(work for work in verb("status", "--json").data["works"] if work["name"] == f"root.{name}")


def becomes(verb: Call, name: str, state: str) -> bool:
    return wait_until(lambda: work_of(verb, name)["state"] == state, PATIENCE)


# A run on another host, as on a file system that several hosts share.


@pytest.fixture
def elsewhere(run: RunSummary, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the verbs run on a host that is not the one of the run; return the name of the latter."""
    host = places.this_host()
    monkeypatch.setattr(places, "this_host", lambda: "another-host")
    return host


def test_a_work_on_another_host_is_not_killed_nor_asked_for_its_stacks(verb: Call, elsewhere: str):
    train = work_of(verb, "train")

    for word in ("kill", "stack"):
        said = verb(word, "train")

        says_in_one_line(
            said, 2, "root.train", f"process {train['pid']} on {elsewhere}", "Run the command there"
        )
    assert psutil.pid_exists(train["pid"])
    assert work_of(verb, "train")["state"] == "running"


def test_a_process_on_another_host_is_shown_with_its_host_and_not_measured(verb: Call, elsewhere: str):
    train = work_of(verb, "train")
    status, top = verb("status"), verb("top")
    (sample,) = (work for work in verb("top", "--json").data["works"] if work["name"] == "root.train")

    assert (train["host"], train["cpu"], train["memory"], train["state"]) == (
        elsewhere,
        None,
        None,
        "running",
    )
    assert (sample["pid"], sample["host"], sample["memory"]) == (train["pid"], elsewhere, None)
    assert f"{train['pid']} on {elsewhere}" in status.out
    assert f"on other hosts, not measured: {elsewhere}" in top.out.splitlines()[0]
    assert verb("ps", "--json").data[0]["host"] == elsewhere


def test_a_process_on_this_host_is_shown_without_its_host(verb: Call):
    assert f" on {places.this_host()}" not in verb("status").out


# Looking.


def test_ps_lists_the_run_as_running_with_what_its_works_do(verb: Call, run: RunSummary):
    (listed,) = verb("ps", "--json").data
    said = verb("ps")

    assert (listed["id"], listed["app"], listed["state"]) == (run.id, "Steered", "running")
    assert sum(listed["works"].values()) == len(WORKS)
    assert psutil.pid_exists(listed["pid"])
    assert said.out.splitlines()[0].split() == ["ID", "APP", "STATE", "STARTED", "TOOK", "WORKS"]
    assert f"{run.id}  Steered  running" in said.out
    assert verb("ps", "-q", "--running").out == f"{run.id}\n"


def test_status_shows_the_tree_with_flows_works_processes_and_progress(verb: Call):
    said = verb("status")
    data = verb("status", "--json").data

    assert [line.split()[-1] for line in said.out.splitlines() if line.startswith("└─ ")] != []
    assert "├─ part\n│  └─ inner" in said.out
    assert data["flows"] == ["root", "root.part"]
    assert [work["name"] for work in data["works"]] == [f"root.{name}" for name in WORKS]
    train = work_of(verb, "train")
    assert (train["state"], train["progress"], train["attempt"]) == ("running", 0.25, 1)
    assert psutil.pid_exists(train["pid"])
    assert train["memory"] > 2**20


def test_status_of_a_work_lists_its_calls_with_their_arguments(verb: Call):
    said = verb("status", "inner")
    (call,) = work_of(verb, "part.inner")["calls"]

    assert (call["number"], call["state"], call["arguments"]) == (1, "running", "0.5")
    assert [attempt["outcome"] for attempt in call["attempts"]] == ["running"]
    assert "root.part.inner  1     running  1" in said.out


def test_top_looks_once_where_there_is_no_terminal(verb: Call):
    said = verb("top")
    works = {work["name"]: work for work in verb("top", "--json").data["works"]}

    assert "works are busy" in said.out.splitlines()[0]
    assert any(line.startswith("root.train ") and "25%" in line for line in said.out.splitlines())
    assert works["root.part.inner"]["last_line"] == "wait 2"


def test_top_watches_on_a_terminal_until_it_is_interrupted(run: RunSummary):
    root = os.path.dirname(os.path.dirname(run.path))
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "lightning_lite", "top", "--interval", "0.2", "--root", root]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    try:
        os.close(theirs)
        shown = b""
        while shown.count(b"works are busy") < 3:  # it is drawn again and again
            assert select.select([ours], [], [], PATIENCE)[0], shown
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        assert process.wait(PATIENCE) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "root.train" in shown.decode(errors="replace")


def test_a_run_is_found_by_a_part_of_its_id(verb: Call, run: RunSummary):
    for part in (run.id, run.id[-6:], run.id[:20]):
        assert verb("status", part, "--json").data["id"] == run.id
    assert verb("status", run.id[-6:], "train", "--json").data["works"][0]["name"] == "root.train"


def test_what_is_not_there_is_refused_in_one_line_with_what_is_near(verb: Call, run: RunSummary):
    says_in_one_line(verb("status", "trian"), 2, "no work 'trian'", "root.train")
    says_in_one_line(verb("logs", "nonsense"), 2, "no work 'nonsense'")
    says_in_one_line(verb("stop", "20990101-000000000-abcdef"), 2, "no run '20990101", "lightning-lite ps")
    wrong = run.id[:-1] + ("0" if run.id[-1] != "0" else "1")
    says_in_one_line(verb("status", wrong), 2, f"no run {wrong!r}", run.id)
    says_in_one_line(verb("restart", run.id), 2, "which work")


def test_stack_shows_what_a_work_and_what_the_flow_is_doing(verb: Call):
    work, flow = verb("stack", "train"), verb("stack")

    assert work.out.startswith("root.train (process ")
    assert "steered_app.py" in work.out
    assert "in wait_for_ever" in work.out
    assert flow.out.startswith("root (Steered):")
    assert "in wait" in flow.out


# Logs.


def test_logs_shows_lines_as_on_the_terminal_in_the_order_of_their_times(verb: Call):
    lines = verb("logs", "train", "inner").out.splitlines()
    stamped = verb("logs", "train", "-t").out.splitlines()

    assert [line for line in lines if line.startswith("root.train | train")] == [
        f"root.train | train {number}" for number in range(3)
    ]
    assert "root.part.inner | wait 0" in lines
    stamp, _, rest = stamped[0].partition(" ")
    assert rest == "root.train | train 0"
    assert abs(datetime.fromisoformat(stamp).timestamp() - datetime.now().timestamp()) < 600


def test_logs_takes_the_last_lines_those_since_and_json(verb: Call):
    assert verb("logs", "inner", "-n", "1").out == "root.part.inner | wait 2\n"
    assert verb("logs", "inner", "-n", "0").out == ""
    assert verb("logs", "inner", "-n", "2", "--no-prefix").out == "wait 1\nwait 2\n"
    assert verb("logs", "inner", "--since", "1h", "--no-prefix").out == "wait 0\nwait 1\nwait 2\n"
    assert verb("logs", "inner", "--since", "2099-01-01").out == ""
    line = json.loads(verb("logs", "inner", "-n", "1", "--json").out)
    assert (line["work"], line["line"]) == ("root.part.inner", "wait 2")
    assert line["time"] > 1.7e9


def test_logs_refuses_a_time_that_is_none(verb: Call):
    says_in_one_line(verb("logs", "--since", "yesterday"), 2, "'yesterday'", "10m")


# Steering.


def test_a_work_that_is_stopped_ends_in_order_and_the_app_goes_on(verb: Call):
    pid = work_of(verb, "stopped")["pid"]

    said = verb("stop", "stopped")

    assert (said.code, said.out) == (0, "root.stopped: stopped\n"), said
    assert is_gone(pid)
    assert becomes(verb, "stopped", "stopped")
    work = work_of(verb, "stopped")
    assert [call["state"] for call in work["calls"]] == ["stopped"]
    assert "root.stopped | tidied up" in verb("logs", "stopped").out
    assert verb("ps", "--json").data[0]["state"] == "running"


def test_a_work_that_is_killed_from_outside_is_stopped_not_crashed(verb: Call):
    pid = work_of(verb, "killed")["pid"]

    said = verb("kill", "killed")

    assert (said.code, said.out) == (0, "root.killed: killed\n"), said
    assert is_gone(pid)
    assert becomes(verb, "killed", "stopped")
    assert "tidied up" not in verb("logs", "killed").out


def test_a_work_that_is_restarted_runs_its_call_again_in_a_new_process(verb: Call):
    pid = work_of(verb, "restarted")["pid"]

    said = verb("restart", "restarted")

    work = work_of(verb, "restarted")
    assert (said.code, said.out) == (0, f"root.restarted: restarted, process {work['pid']}\n"), said
    assert is_gone(pid)
    assert becomes(verb, "restarted", "running")
    assert len(work["calls"]) == 1
    assert wait_until(lambda: work_of(verb, "restarted")["attempt"] == 2, PATIENCE)


def test_a_work_that_does_not_want_to_end_is_killed_when_its_time_is_over(verb: Call):
    pid = work_of(verb, "stubborn")["pid"]

    said = verb("stop", "stubborn", "-t", "0.3")

    assert (said.code, said.out[:22]) == (0, "root.stubborn: killed,"), said
    assert is_gone(pid)
    assert becomes(verb, "stubborn", "stopped")


# The channel.


def send(run: RunSummary, data: bytes) -> bytes:
    """Return what the channel answers to anything."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE)
        os.chdir(run.path)  # the name is too long for a socket elsewhere
        connection.connect("commands.sock")
        connection.sendall(data)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:  # it has dropped us with more to read
            pass
        return answer


def test_only_the_user_may_reach_the_socket(run: RunSummary):
    found = os.stat(os.path.join(run.path, "commands.sock"))

    assert stat.S_ISSOCK(found.st_mode)
    assert stat.S_IMODE(found.st_mode) == 0o600


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"\n", "not JSON"),
        (b"\x80\x04K\x01.\n", "not JSON"),
        (b"[" * 60000 + b"\n", "not JSON"),
        (b"[1]\n", "version None"),
        (b'{"version": 99, "command": "stop"}\n', "version 99"),
        (b'{"version": 1, "command": "explode"}\n', "no command 'explode'"),
        (b'{"version": 1, "command": ["stop"]}\n', "no command"),
        (b'{"version": 1, "command": "kill"}\n', "no work None"),
        (b'{"version": 1, "command": "stop", "work": "root.nobody"}\n', "no work 'root.nobody'"),
        (b'{"version": 1, "command": "stop", "work": "root.train", "timeout": -1}\n', "timeout"),
        (b'{"version": 1, "command": "stop", "work": "root.train", "timeout": "soon"}\n', "timeout"),
    ],
)
def test_garbage_is_answered_and_harms_nobody(run: RunSummary, verb: Call, data: bytes, complaint: str):
    answer = json.loads(send(run, data))

    assert answer["ok"] is False
    assert complaint in answer["error"]
    assert work_of(verb, "train")["state"] == "running"


def test_a_line_without_an_end_is_dropped(run: RunSummary, verb: Call):
    answer = send(run, b"x" * 200_000)

    assert answer == b"" or b"longer than" in answer
    assert work_of(verb, "train")["state"] == "running"


def test_who_says_nothing_keeps_nobody_else_waiting(run: RunSummary, verb: Call):
    silent = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(5)]
    os.chdir(run.path)
    try:
        for connection in silent:
            connection.connect("commands.sock")
        silent[0].sendall(b'{"version": 1, ')
        assert work_of(verb, "train")["state"] == "running"
    finally:
        for connection in silent:
            connection.close()
