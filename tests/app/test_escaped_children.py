"""No process that a work has started is left, also if it has a process group or a session of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from lightning_lite.runners.processes.environment_marks import VARIABLE, kill_marked, mark_of
from lightning_lite.testing import poll_until

from tests.support.forked_scripts import ForkedScripts
from tests.support.processes import DEADLINE, wait_until_gone

APP = """
import multiprocessing, os, signal, subprocess, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.testing import ManualClock

def sleep_in_a_session(writer):
    os.setsid()
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    os.write(writer, b"%d " % os.getpid())
    while True:
        signal.pause()

def fork(function, *arguments):
    pid = os.fork()
    if pid == 0:
        try:
            function(*arguments)
        finally:
            os._exit(0)
    return pid

def fork_again(writer):
    os.setsid()
    fork(sleep_in_a_session, writer)

def start_forks():
    reader, writer = os.pipe()
    fork(sleep_in_a_session, writer)
    os.waitpid(fork(fork_again, writer), 0)  # an orphan
    if ENDING in ("time limit", "kill of the flow"):  # else the work waits at its exit for such a child
        multiprocessing.get_context("fork").Process(target=sleep_in_a_session, args=(writer,)).start()
        multiprocessing.get_context("fork").Process(target=fork_again, args=(writer,)).start()
    pids = b""
    while pids.count(b" ") < NUM_FORKS:
        pids += os.read(reader, 100)
    return pids.decode().split()

ENDING, START_METHOD, SLEEP = sys.argv[1], sys.argv[2], ["sleep", "600"]
NUM_FORKS = 4 if ENDING in ("time limit", "kill of the flow") else 2
CLOCK = ManualClock() if ENDING == "time limit" else None  # the limit comes after the work has started all

class Work(LightningWork):
    def __init__(self):
        timeout = 2.0 if ENDING == "time limit" else None
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
            file.write(" ".join([*(str(child.pid) for child in children), *start_forks()]))
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
            elif ENDING == "time limit":
                CLOCK.advance(3.0)
        if self.work.has_stopped or self.work.has_failed:
            print("others:", open("pids").read(), flush=True)
            self.stop()

LightningApp(Flow(), clock=CLOCK).run(start_method=START_METHOD)
"""


@pytest.mark.parametrize(
    ("ending", "start_method"),
    [
        ("stop", "spawn"),
        ("stop", "forkserver"),
        ("time limit", "spawn"),
        ("time limit", "forkserver"),
        ("end of the app", "spawn"),
        ("end of the app", "forkserver"),
        ("kill of the flow", "spawn"),
        ("kill of the flow", "forkserver"),
    ],
)
def test_what_a_work_has_started_ends_with_it(
    forked_scripts: ForkedScripts, ending: str, start_method: str, tmp_path: Path
) -> None:
    script = tmp_path / "app.py"
    script.write_text(APP)

    app = forked_scripts.run_to_end(script, ending, start_method, cwd=tmp_path)

    assert app.returncode == (-signal.SIGKILL if ending == "kill of the flow" else 0)
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    assert len(pids) == (9 if ending in ("time limit", "kill of the flow") else 7)
    # The guardian outlives a flow that was killed.
    wait_until_gone(*pids)


STOPS = """
import os, sys, signal
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.testing import poll_until

def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False

class Work(LightningWork):
    def __init__(self):
        super().__init__()
        self.pid = 0

    def run(self, is_orphan, environ):
        os.environ.update(environ)
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.setsid()
            if not is_orphan or os.fork() == 0:
                os.write(writer, b"%d" % os.getpid())
                while True:
                    signal.pause()
            os._exit(0)
        if is_orphan:
            os.waitpid(pid, 0)
        return int(os.read(reader, 100))

class Flow(LightningFlow):
    def __init__(self, num_works):
        super().__init__()
        self.num_works = num_works
        for i in range(num_works):
            setattr(self, f"w{i}", Work())

    def run(self):
        works = [getattr(self, f"w{i}") for i in range(self.num_works)]
        # Some change their environment so much that it moves: the first one counts.
        environs = [{"A" * 100: "b" * 5000} if i % 3 else {} for i in range(self.num_works)]
        pids = [work.run(i % 2 == 0, environs[i]) for i, work in enumerate(works)]
        if all(map(is_alive, pids)):
            works[1].stop()
            works[-1].stop()
        if works[1].has_stopped and works[-1].has_stopped:
            poll_until(lambda: not is_alive(pids[1]) and not is_alive(pids[-1]))
            print("alive:", [i for i, pid in enumerate(pids) if is_alive(pid)], flush=True)
            print("pids:", *pids, flush=True)
            self.stop()

LightningApp(Flow(int(sys.argv[1]))).run(start_method=sys.argv[2])
"""


@pytest.mark.parametrize(("num_works", "start_method"), [(3, "spawn"), (12, "forkserver")])
def test_a_fork_with_its_own_session_ends_with_its_work_and_not_with_another(
    forked_scripts: ForkedScripts, num_works: int, start_method: str, tmp_path: Path
) -> None:
    script = tmp_path / "app.py"
    script.write_text(STOPS)

    output = forked_scripts.run(script, num_works, start_method, cwd=tmp_path)

    others = [i for i in range(num_works) if i not in (1, num_works - 1)]
    assert f"alive: {others}\n" in output
    pids = next(line for line in output.splitlines() if line.startswith("pids:")).split()[1:]
    wait_until_gone(*map(int, pids))


def test_only_processes_with_the_mark_are_killed() -> None:
    def start(mark: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(["sleep", "600"], env=os.environ | {VARIABLE: mark}, start_new_session=True)

    app_1, app_12, app_2, apple_1, other_1 = marks = (
        mark_of("app", 1), mark_of("app", 12), mark_of("app", 2), mark_of("apple", 1), mark_of("other", 1)
    )  # fmt: skip
    processes = {mark: start(mark) for mark in marks}

    def have_marks() -> bool:
        environments = {mark: Path(f"/proc/{each.pid}/environ") for mark, each in processes.items()}
        return all(mark.encode() in file.read_bytes() for mark, file in environments.items())

    try:
        poll_until(have_marks, DEADLINE)  # `execve` shows the environment a moment after `Popen` returns
        kill_marked("app", {1, 2})
        killed = {mark for mark, process in processes.items() if mark in (app_1, app_2) and process.wait()}
        assert killed == {app_1, app_2}
        assert [process.poll() for mark, process in processes.items() if mark not in killed] == [None] * 3
        kill_marked("app", None)
        assert processes[app_12].wait() == -signal.SIGKILL
        assert (processes[apple_1].poll(), processes[other_1].poll()) == (None, None)
    finally:
        for process in processes.values():
            process.kill()
            process.wait()


def test_a_guardian_that_was_suspended_ends_with_the_app(tmp_path: Path) -> None:
    script = """
import os, signal
from lightning_lite.runners.processes import guardian
from lightning_lite.runners.processes.environment_marks import VARIABLE
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


def test_a_process_that_has_just_been_started_is_killed() -> None:
    """In the middle of `execve`, it has no environment: one of some hundred needs a second look."""
    for _ in range(150):
        processes = [
            subprocess.Popen(["sleep", "600"], env={**os.environ, VARIABLE: mark_of("started", 1)})
            for _ in range(2)
        ]
        kill_marked("started", {1})
        assert [process.wait(DEADLINE) for process in processes] == [-9, -9]
