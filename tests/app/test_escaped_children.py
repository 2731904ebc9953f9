"""No process that a work has started is left, also if it has a process group or a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from lightning_lite.runners.processes.marked import VARIABLE, kill_marked
from lightning_lite.testing import poll_until

APP = """
import os, signal, subprocess, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork

ENDING, START_METHOD, SLEEP = sys.argv[1], sys.argv[2], ["sleep", "600"]

class Work(LightningWork):
    def __init__(self):
        timeout = 1.0 if ENDING == "time limit" else None
        super().__init__(parallel=True, timeout=timeout, raise_exception=False)
        self.is_ready = False

    def run(self):
        children = [
            subprocess.Popen(SLEEP),
            subprocess.Popen(SLEEP, start_new_session=True),
            subprocess.Popen(SLEEP, process_group=0),
            subprocess.Popen(["sh", "-c", "trap '' TERM HUP; sleep 600 & wait"], start_new_session=True),
        ]
        with open("pids", "w") as file:
            file.write(" ".join(str(child.pid) for child in children))
        # A daemon: its parent has exited.
        subprocess.run(["sh", "-c", "setsid sleep 600 & echo -n ' '$! >> pids"], check=True)
        self.is_ready = True
        signal.pause()

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run()
        if self.work.is_ready:
            if ENDING == "stop":
                self.work.stop()
            elif ENDING == "end of the app":
                self.stop()
            elif ENDING == "kill of the flow":
                os.kill(os.getpid(), 9)
        if self.work.has_stopped or self.work.has_failed:
            print("others:", open("pids").read(), flush=True)
            self.stop()

LightningApp(Flow()).run(start_method=START_METHOD)
"""


@pytest.mark.parametrize(
    ("ending", "start_method"),
    [
        ("stop", "spawn"),
        ("stop", "forkserver"),
        ("time limit", "spawn"),
        ("end of the app", "forkserver"),
        ("kill of the flow", "spawn"),
        ("kill of the flow", "forkserver"),
    ],
)
def test_what_a_work_has_started_ends_with_it(ending: str, start_method: str, tmp_path: Path) -> None:
    script = tmp_path / "app.py"
    script.write_text(APP)

    app = subprocess.run([sys.executable, script, ending, start_method], cwd=tmp_path, check=False)

    assert app.returncode == (-signal.SIGKILL if ending == "kill of the flow" else 0)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == 5
    # The guardian outlives a flow that was killed.
    poll_until(lambda: not any(map(psutil.pid_exists, pids)))


def test_only_processes_with_the_mark_are_killed() -> None:
    def start(mark: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "600"], env=os.environ | {VARIABLE: mark}, start_new_session=True)

    processes = {mark: start(mark) for mark in ("app.1", "app.12", "app.2", "apple.1", "other.1")}
    try:
        kill_marked("app", {1, 2})
        killed = {
            mark for mark, process in processes.items() if mark in ("app.1", "app.2") and process.wait()
        }
        assert killed == {"app.1", "app.2"}
        assert [process.poll() for mark, process in processes.items() if mark not in killed] == [None] * 3
        kill_marked("app", None)
        assert processes["app.12"].wait() == -signal.SIGKILL
        assert (processes["apple.1"].poll(), processes["other.1"].poll()) == (None, None)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_a_guardian_that_was_suspended_ends_with_the_app(tmp_path: Path) -> None:
    script = """
import os, signal
from lightning_lite.runners.processes import guardian
from lightning_lite.runners.processes.marked import VARIABLE
import subprocess
guardian._PATIENCE = 0.2
it = guardian.Guardian()
env = os.environ | {VARIABLE: f"{it.token}.1"}
child = subprocess.Popen(["sleep", "600"], start_new_session=True, env=env)
it.watch(child.pid)
os.kill(it._pid, signal.SIGSTOP)
it.close()
print(child.wait())
"""
    output = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert output.stdout == "-9\n"
