"""Verbs on one running app, which all tests share; a test that ends a work uses a work of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path

import psutil
import pytest

from lightning_lite import process_places
from lightning_lite.monitor.control import is_held_by
from lightning_lite.monitor.run_status import read_status
from lightning_lite.process_places import Place
from lightning_lite.runners.command_channel import REQUEST_LIMIT
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.testing import poll_until

from tests.cli.short_apps import running
from tests.cli.verbs import Output, Verb, call, is_refused, work_of
from tests.support.processes import DEADLINE, is_gone

pytestmark = pytest.mark.dependencies

WORKS = ["hasty", "killed", "once", "part.inner", "restarted", "stopped", "stubborn", "train"]

#: The works that print three lines and then report a progress of 25 %.
WAITING_WORKS = ["killed", "part.inner", "restarted", "stopped", "train"]

#: The last line of the stack of a flow between two passes.
AT_REST = "\nNo pass of the flow is running: the app waits for the next change.\n"

#: A flow that waits for ever at one line.
WAITING = """
import threading
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Wait(LightningWork):
    def run(self, number):
        print("the work runs")
        threading.Event().wait()

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Wait(parallel="wait_for" in "LINE")

    def run(self):
        if self.work.parallel:
            self.work.run(1)
        LINE  # here

if __name__ == "__main__":
    LightningApp(Flow()).run()
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunSummary]:
    """A run of `steered_app` in which each work has printed and reported all that tests look for."""
    folder = tmp_path_factory.mktemp("steered")
    with running(folder, source=Path(__file__).with_name("steered_app.py").read_text()) as app:

        def is_up() -> bool:
            assert app.process.poll() is None, app.output
            if not read_runs(app.root):
                return False
            logs = [Path(app.run.path, "logs", f"root.{name}.log") for name in WAITING_WORKS]
            works = {work.name: work for work in read_status(app.run, journal=False).works}
            return (
                all(log.exists() and log.read_text().count("\n") == 3 for log in logs)
                and all(works[f"root.{name}"].progress == 0.25 for name in WAITING_WORKS)
                and all(works[f"root.{name}"].state == "running" for name in ("stubborn", "hasty"))
            )

        poll_until(is_up, DEADLINE)
        yield app.run
        app.process.terminate()
        assert app.code() == 143


@pytest.fixture
def verb(run: RunSummary, capfd: pytest.CaptureFixture[str]) -> Verb:
    """Call a verb with the root of the run."""
    root = os.path.dirname(os.path.dirname(run.path))
    return lambda *words: call(capfd, *words, "--root", root)


def end_work(verb: Verb, *words: str) -> Output:
    """Call `stop` or `kill` for a work; assert that its process has exited and that it becomes `stopped`."""
    pid = work_of(verb, words[1])["pid"]
    output = verb(*words)
    assert output.code == 0, output
    assert is_gone(pid)
    poll_until(lambda: work_of(verb, words[1])["state"] == "stopped", DEADLINE)
    return output


# A run on another host, as on a file system that several hosts share.


@pytest.fixture
def elsewhere(run: RunSummary, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let the verbs run on a host that is not the one of the run; return the name of the latter."""
    host = process_places.this_host()
    monkeypatch.setattr(process_places, "this_host", lambda: "another-host")
    return host


def test_a_work_on_another_host_is_not_killed_and_gets_no_request_for_stacks(verb: Verb, elsewhere: str):
    train = work_of(verb, "train")

    for word in ("kill", "stack"):
        output = verb(word, "train")

        is_refused(output, 1, "root.train", f"process {train['pid']} on {elsewhere}", "Run the command there")
    assert psutil.pid_exists(train["pid"])
    assert work_of(verb, "train")["state"] == "running"


def test_a_process_on_another_host_does_not_hold_the_run_only_because_it_has_the_same_id(
    verb: Verb, run: RunSummary, monkeypatch: pytest.MonkeyPatch
):
    pid = int(verb("ps", "--json").data[0]["pid"])
    assert is_held_by(run, Place.of(pid))

    monkeypatch.setattr(process_places, "this_host", lambda: "another-host")

    assert not is_held_by(run, Place.of(pid))


def test_a_process_on_another_host_is_shown_with_its_host_and_not_measured(verb: Verb, elsewhere: str):
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


def test_a_process_on_this_host_is_shown_without_its_host(verb: Verb):
    assert f" on {process_places.this_host()}" not in verb("status").out


# Reading.


def test_ps_lists_the_run_as_running_with_the_states_of_its_works(verb: Verb, run: RunSummary):
    (listed,) = verb("ps", "--json").data
    output = verb("ps")

    assert (listed["id"], listed["app"], listed["state"]) == (run.id, "Steered", "running")
    assert sum(listed["works"].values()) == len(WORKS)
    assert psutil.pid_exists(listed["pid"])
    assert output.out.splitlines()[0].split() == ["ID", "APP", "STATE", "STARTED", "TOOK", "WORKS"]
    assert f"{run.id}  Steered  running" in output.out
    assert verb("ps", "-q", "--running").out == f"{run.id}\n"


def test_status_shows_the_tree_with_flows_works_processes_and_progress(verb: Verb):
    output = verb("status")
    data = verb("status", "--json").data

    assert [line.split()[-1] for line in output.out.splitlines() if line.startswith("└─ ")] != []
    assert "├─ part\n│  └─ inner" in output.out
    assert data["flows"] == ["root", "root.part"]
    assert [work["name"] for work in data["works"]] == [f"root.{name}" for name in WORKS]
    train = work_of(verb, "train")
    assert (train["state"], train["progress"], train["attempt"]) == ("running", 0.25, 1)
    assert psutil.pid_exists(train["pid"])
    assert train["memory"] > 2**20


def test_status_of_a_work_lists_its_calls_with_their_arguments(verb: Verb):
    output = verb("status", "inner")
    (call,) = work_of(verb, "part.inner")["calls"]

    assert (call["number"], call["state"], call["arguments"]) == (1, "running", "0.5")
    assert [attempt["outcome"] for attempt in call["attempts"]] == ["running"]
    assert "root.part.inner  1     running  1" in output.out


def test_top_prints_once_without_a_terminal(verb: Verb):
    output = verb("top")
    works = {work["name"]: work for work in verb("top", "--json").data["works"]}

    assert "works are busy" in output.out.splitlines()[0]
    assert any(line.startswith("root.train ") and "25%" in line for line in output.out.splitlines())
    assert works["root.part.inner"]["last_line"] == "wait 2"


def test_top_updates_on_a_terminal_until_ctrl_c(run: RunSummary):
    root = os.path.dirname(os.path.dirname(run.path))
    ours, theirs = pty.openpty()
    environ = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"}
    environ.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "lightning_lite", "top", "--interval", "0.2", "--root", root]
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=environ)
    try:
        os.close(theirs)
        shown = b""
        while shown.count(b"works are busy") < 3:
            assert select.select([ours], [], [], DEADLINE)[0], shown
            shown += os.read(ours, 65536)
        process.send_signal(signal.SIGINT)
        # A terminal that nobody reads is full after some pages, and then `top` would wait for a reader.
        with suppress(OSError):  # EIO: no process has the other end open any more
            while part := os.read(ours, 65536):
                shown += part
        assert process.wait(DEADLINE) == 130
    finally:
        process.kill()
        process.wait()
        os.close(ours)
    assert "root.train" in shown.decode(errors="replace")


def test_a_run_is_found_by_a_part_of_its_id(verb: Verb, run: RunSummary):
    for part in (run.id, run.id[-6:], run.id[:20]):
        assert verb("status", part, "--json").data["id"] == run.id
    assert verb("status", run.id[-6:], "train", "--json").data["works"][0]["name"] == "root.train"


def test_unknown_names_are_refused_with_similar_names(verb: Verb, run: RunSummary):
    is_refused(verb("status", "trian"), 2, "no work 'trian'", "root.train")
    is_refused(verb("logs", "nonsense"), 2, "no work 'nonsense'")
    is_refused(verb("stop", "99999999-999999999-ffffff"), 2, "no run '99999999", "lightning-lite ps")
    wrong = run.id[:-1] + ("0" if run.id[-1] != "0" else "1")
    is_refused(verb("status", wrong), 2, f"no run {wrong!r}", run.id)
    is_refused(verb("restart", run.id), 2, "name a work")


def test_stack_shows_the_functions_that_a_work_and_the_flow_execute(verb: Verb):
    work = verb("stack", "train")
    # The end of a work in another test may just have caused a pass.
    flow = poll_until(lambda: (found := verb("stack")).out.endswith(AT_REST) and found, DEADLINE)

    assert work.out.startswith("root.train (process ")
    assert "app.py" in work.out
    assert "in wait_for_ever" in work.out
    # Its passes end at once, so the last line of the user is that of `run`; frames of the package are cut.
    *_, file, line, _ = flow.out.splitlines()
    assert flow.out.startswith("root (Steered):")
    assert re.fullmatch(r'  File "\S+app\.py", line \d+, in <module>', file)
    assert line.strip() == "LightningApp(Steered()).run()"


@pytest.mark.parametrize("line", ["self.work.run(1)", "self.wait_for(self.work)"])
def test_the_stack_of_a_flow_ends_with_the_line_that_waits_for_a_call(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], line: str
):
    source = WAITING.replace("LINE", line)
    with running(tmp_path, source=source) as app:
        app.wait_for_output("the work runs")
        # The flow is busy for a moment with each report about the call.
        shown = poll_until(
            lambda: "until a call" in (out := call(capfd, "stack", "--root", app.root).out) and out, DEADLINE
        )

    number = source.splitlines().index(f"        {line}  # here") + 1
    assert shown.splitlines()[-3:] == [
        f'  File "{tmp_path}/app.py", line {number}, in run',
        f"    {line}  # here",
        "The flow waits at this line until a call has ended.",
    ]
    assert (
        shown.splitlines()[1] == f'  File "{tmp_path}/app.py", line {len(source.splitlines())}, in <module>'
    )


#: A flow whose pass is cut by a report of another work, and whose later passes are cut, too: each has changed
#: the state when it waits, and changes it back in `finally`.
CUT = """
import threading
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Wait(LightningWork):
    def run(self, number):
        if number == 1:
            print("the work runs")
            threading.Event().wait()

class Inner(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Wait()
        self.last = -1

    def run(self):
        for number in range(3):
            try:
                self.work.run(number)  # here
            finally:
                self.last = number

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.inner = Inner()
        self.other = Wait(parallel=True)

    def run(self):
        self.other.run(1)
        self.inner.run()

if __name__ == "__main__":
    LightningApp(Flow()).run()
"""


def test_the_stack_of_a_flow_whose_pass_was_cut_ends_with_the_line_of_the_cut(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
):
    with running(tmp_path, source=CUT) as app:
        app.wait_for_output("root.inner.work | the work runs")
        assert call(capfd, "stop", "other", "--root", app.root).code == 0
        shown = poll_until(
            lambda: "was cut" in (out := call(capfd, "stack", "--root", app.root).out) and out, DEADLINE
        )

    lines = CUT.splitlines()
    numbers = {line.strip(): number for number, line in enumerate(lines, 1)}
    root, *stack, last = shown.splitlines()
    assert root.startswith("root (Flow)")
    assert stack[0] == f'  File "{tmp_path}/app.py", line {len(lines)}, in <module>'
    assert stack[2::2] == [
        f'  File "{tmp_path}/app.py", line {numbers["self.inner.run()"]}, in run',
        f'  File "{tmp_path}/app.py", line {numbers["self.work.run(number)  # here"]}, in run',
    ]
    assert last == (
        "The last pass of the flow was cut at this line, because a call had not ended: "
        "the flow runs again from its first line after the next change."
    )


# Logs.


def test_logs_shows_lines_with_names_and_times(verb: Verb):
    lines = verb("logs", "train", "inner").out.splitlines()
    stamped = verb("logs", "train", "-t").out.splitlines()

    assert [line for line in lines if line.startswith("root.train | train")] == [
        f"root.train | train {number}" for number in range(3)
    ]
    assert "root.part.inner | wait 0" in lines
    stamp, _, rest = stamped[0].partition(" ")
    assert rest == "root.train | train 0"
    assert abs(datetime.fromisoformat(stamp).timestamp() - datetime.now().timestamp()) < 600


def test_options_of_logs_select_lines_and_their_format(verb: Verb):
    assert verb("logs", "inner", "-n", "1").out == "root.part.inner | wait 2\n"
    assert verb("logs", "inner", "-n", "0").out == ""
    assert verb("logs", "inner", "-n", "2", "--no-prefix").out == "wait 1\nwait 2\n"
    assert verb("logs", "inner", "--since", "1h", "--no-prefix").out == "wait 0\nwait 1\nwait 2\n"
    assert verb("logs", "inner", "--since", "2099-01-01").out == ""
    line = json.loads(verb("logs", "inner", "-n", "1", "--json").out)
    assert (line["work"], line["line"]) == ("root.part.inner", "wait 2")
    assert line["time"] > 1.7e9


def test_logs_refuses_an_invalid_time(verb: Verb):
    is_refused(verb("logs", "--since", "yesterday"), 2, "'yesterday'", "10m")


# Stopping and restarting.


def test_stop_ends_a_work_in_order_and_the_app_continues(verb: Verb):
    output = end_work(verb, "stop", "stopped")

    assert output.out == "root.stopped: stopped\n"
    work = work_of(verb, "stopped")
    assert [call["state"] for call in work["calls"]] == ["stopped"]
    assert "root.stopped | on_exit has run" in verb("logs", "stopped").out
    assert verb("ps", "--json").data[0]["state"] == "running"


def test_a_work_that_a_user_killed_is_stopped_not_crashed(verb: Verb):
    output = end_work(verb, "kill", "killed")

    assert output.out == "root.killed: killed\n"
    assert "on_exit has run" not in verb("logs", "killed").out


def test_restart_runs_the_call_again_in_a_new_process(verb: Verb):
    pid = work_of(verb, "restarted")["pid"]

    output = verb("restart", "restarted")

    work = work_of(verb, "restarted")
    assert (output.code, output.out) == (0, f"root.restarted: restarted, process {work['pid']}\n"), output
    assert is_gone(pid)
    assert len(work["calls"]) == 1
    poll_until(lambda: work_of(verb, "restarted")["attempt"] == 2, DEADLINE)
    poll_until(lambda: work_of(verb, "restarted")["state"] == "running", DEADLINE)


def test_stop_kills_a_work_that_does_not_end_in_time(verb: Verb):
    output = end_work(verb, "stop", "stubborn", "-t", "0.3")

    assert output.out.startswith("root.stubborn: killed,")


def test_a_timeout_of_zero_is_that_of_the_work_and_not_of_the_answer(verb: Verb):
    output = verb("stop", "hasty", "--timeout", "0")

    assert output.out.startswith("root.hasty: ")
    poll_until(lambda: work_of(verb, "hasty")["state"] == "stopped", DEADLINE)


@pytest.mark.parametrize(
    "words", [("stop", "train", "-t"), ("restart", "train", "-t"), ("top", "--interval")]
)
def test_seconds_that_are_no_time_to_wait_are_refused(verb: Verb, words: tuple[str, ...]):
    for seconds in ("-1", "nan", "inf", "1e300", "soon"):
        output = verb(*words, seconds)

        assert output.code == 2, seconds
        assert output.err.splitlines()[-1].startswith(f"Error: Invalid value for '{words[-1]}'"), seconds


# The channel.


def send(run: RunSummary, data: bytes) -> bytes:
    """Send bytes to the command channel, and return its answer."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(DEADLINE)
        os.chdir(run.path)  # the absolute path is too long for a socket
        connection.connect("commands.sock")
        connection.sendall(data)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:  # the channel closed the connection before it had read all
            pass
        return answer


def test_only_the_user_has_access_to_the_socket(run: RunSummary):
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
def test_an_invalid_command_gets_an_error_and_changes_nothing(
    run: RunSummary, verb: Verb, data: bytes, complaint: str
):
    answer = json.loads(send(run, data))

    assert answer["ok"] is False
    assert complaint in answer["error"]
    assert work_of(verb, "train")["state"] == "running"


def test_a_line_that_is_too_long_is_refused(run: RunSummary, verb: Verb):
    answer = send(run, b"x" * (REQUEST_LIMIT + 1))

    assert b"longer than" in answer
    assert work_of(verb, "train")["state"] == "running"


def test_silent_connections_do_not_block_others(run: RunSummary, verb: Verb):
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
