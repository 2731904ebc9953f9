"""With a killed flow, all its processes end: works, and processes that they have started."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest
import tasks
from harness import Flow, Harness

from tests.support.processes import is_gone, wait_until_gone

STATES = ["idle", "spin", "hang_holding_the_gil", "stop_itself", "hang_with_grandchildren"]


def test_a_killed_flow_leaves_nothing_whatever_its_works_do(tmp_path):
    kill_flow(tmp_path)


@pytest.mark.torture
def test_sixty_killed_flows_leave_nothing(tmp_path):
    for i in range(60):
        kill_flow(tmp_path / str(i))


def kill_flow(folder) -> None:
    flow = Flow(folder, *STATES)
    assert len(flow.pids) >= 1 + len(STATES)

    flow.process.kill()

    # A process at the other end of a pipe, as in `python app.py | cat`, must not outlive the flow.
    assert flow.process.stdout.read() == ""  # the end has come
    assert flow.wait() == -signal.SIGKILL
    wait_until_gone(*flow.pids)


@pytest.mark.parametrize("milliseconds", [0, 20])
def test_a_flow_killed_while_its_works_start_leaves_nothing(tmp_path, milliseconds: int):
    script = f"""
import os, sys
sys.path[:0] = {sys.path!r}
from harness import Harness
harness = Harness({str(tmp_path)!r})
for i in range(3):
    harness.start(f"root.w{{i}}")
harness.runner.wait({milliseconds / 1000})
os.kill(os.getpid(), 9)
"""

    done = subprocess.run([sys.executable, "-c", script])

    # At the end of each test, conftest.py checks that no process is left. This test needs no other check.
    assert done.returncode == -signal.SIGKILL


def test_a_process_that_the_flow_has_forked_does_not_keep_the_works_alive(tmp_path):
    flow = Flow(tmp_path, *2 * ["hang_with_grandchildren"], env={"FLOW_FORKS": "1"})
    forked = int(flow.line())
    try:
        flow.end(signal.SIGKILL)
        wait_until_gone(*(pid for pid in flow.pids if pid != forked))
    finally:
        os.kill(forked, signal.SIGKILL)


def test_the_guardian_is_replaced_after_a_kill(harness: Harness):
    harness.up("root.a")
    (guardian,) = guardians()
    os.kill(guardian, signal.SIGKILL)
    wait_until_gone(guardian)

    harness.up("root.b")

    assert len(guardians()) == 1
    assert guardians() != [guardian]


def test_the_guardian_is_small_gets_no_signal_of_the_terminal_and_ends_with_the_runner(harness: Harness):
    harness.up()
    (guardian,) = guardians()
    for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(guardian, signum)

    harness.run(tasks.answer, 1)

    assert guardians() == [guardian]
    assert os.getsid(guardian) == guardian
    assert psutil.Process(guardian).memory_full_info().uss < 6 << 20

    harness.runner.close(5.0)

    assert guardians() == []


def guardians() -> list[int]:
    """Return the guardians that this process has started and that are alive."""
    return [
        child.pid
        for child in psutil.Process().children()
        if not is_gone(child.pid) and any("guardian" in arg for arg in child.cmdline())
    ]
