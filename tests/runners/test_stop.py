"""A work is stopped by a request first and by a signal at last, within the given time."""

from __future__ import annotations

import os
import signal
from functools import partial
from time import monotonic

import psutil
import pytest
import tasks
from harness import DEADLINE, Harness
from work_sides import BrokenSide, Unloadable

from lightning_lite.main_messages import KillWork, WorkExited
from lightning_lite.messages import RunEnded, StateChanged, StopWork, WorkStarted
from lightning_lite.runners.processes import shutdown
from lightning_lite.runners.wire.work_signals import ENDED_BY_SIGTERM
from lightning_lite.testing import poll_until

from tests.support.processes import wait_until_gone

#: Tasks, and the exit codes with which they end.
STUBBORN = {
    tasks.hang_ignoring_everything: -signal.SIGKILL,
    tasks.swallow_everything: -signal.SIGKILL,
    tasks.hang_holding_the_gil: -signal.SIGKILL,
    tasks.stop_itself: 0,  # the signal to continue lets it hear the other one
}


def stop(harness: Harness, timeout: float = DEADLINE, name: str = "root.a") -> WorkExited:
    harness.runner.send(StopWork(name, timeout))
    return harness.exit_of(name)


def test_a_work_that_listens_ends_in_order(harness: Harness, tmp_path):
    for task in (None, tasks.hang, tasks.spin, tasks.swallow_exceptions, tasks.block_in_a_read):
        what = task.__name__ if task is not None else "idle"
        name, exits = f"root.{what}", tmp_path / what
        harness.start(name)
        harness.run(tasks.report_exit, str(exits), name=name)
        if task is not None:
            harness.call(task, name=name)
            harness.hangs(name)

        assert stop(harness, name=name) == WorkExited(name, 0)
        assert exits.read_text() == "exit\n", name
        assert harness.messages[-1] == StateChanged(name, {"last": b"words"}, 0)


def test_a_second_signal_does_not_disturb_the_exit(harness: Harness, tmp_path):
    pid = harness.up()["root.a"]
    harness.run(tasks.report_exit, str(tmp_path / "exits"))  # its `on_exit` sends a signal to itself
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)

    assert harness.exit_of() == WorkExited("root.a", ENDED_BY_SIGTERM)
    assert (tmp_path / "exits").read_text() == "exit\n"


def test_a_second_signal_does_not_cut_what_cleans_up(harness: Harness):
    harness.start()
    harness.call(tasks.clean_up_under_fire)
    harness.hangs()

    assert stop(harness) == WorkExited("root.a", 0)
    assert "cleaned" in harness.messages[-1].changes


def test_a_work_that_does_not_listen_is_killed_when_its_time_is_over(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
):
    for task, exitcode in STUBBORN.items():
        name = f"root.{task.__name__}"
        pid = harness.up(name)[name]
        harness.call(task, name=name)
        harness.hangs(name)
        if task is tasks.stop_itself:
            poll_until(lambda pid=pid: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        begun = monotonic()

        with monkeypatch.context() as patch:
            if exitcode == 0:
                patch.setattr(shutdown, "TERMINATE_PAUSE", DEADLINE)  # it may need long to end
            exited = stop(harness, timeout=0.2, name=name)

        assert exited == WorkExited(name, exitcode)
        assert monotonic() - begun >= 0.2, name  # it was given its time


def test_a_stop_takes_the_whole_group_along(harness: Harness):
    harness.start()
    harness.call(tasks.hang_with_grandchildren)
    pids = eval(harness.hangs()["pids"])

    assert stop(harness) == WorkExited("root.a", 0)
    wait_until_gone(*pids)


@pytest.mark.parametrize("work_side", ["in on_start", "before the process is up", "while it loads"])
def test_a_work_is_stopped_while_it_starts(harness: Harness, work_side: str):
    if work_side == "in on_start":
        harness.start(work_side=BrokenSide("root.a", tasks.hang))
        harness.hangs()
    elif work_side == "while it loads":
        harness.start()
        harness.runner.wait(0.02)
    else:
        harness.start()

    assert stop(harness).exitcode in (0, None)
    assert [message for message in harness.messages if not isinstance(message, WorkStarted)] == []


def test_stopping_again_shortens_the_time(harness: Harness):
    harness.start()
    harness.call(tasks.hang_ignoring_everything)
    harness.hangs()

    harness.runner.send(StopWork("root.a", 3600.0))

    assert stop(harness, timeout=0.0) == WorkExited("root.a", -9)


def test_a_work_that_is_being_stopped_can_be_killed(harness: Harness):
    harness.start()
    harness.call(tasks.hang_ignoring_everything)
    harness.hangs()
    harness.runner.send(StopWork("root.a", 3600.0))

    harness.runner.send(KillWork("root.a"))

    assert harness.exit_of() == WorkExited("root.a", -9)


def test_reports_of_others_arrive_while_one_is_being_stopped(harness: Harness):
    harness.up("root.a", "root.b")
    harness.call(tasks.hang_ignoring_everything)
    harness.hangs()
    harness.runner.send(StopWork("root.a", 3600.0))

    assert harness.run(tasks.answer, "here", name="root.b") == "here"
    assert not any(isinstance(message, WorkExited) for message in harness.messages)
    harness.runner.send(KillWork("root.a"))
    harness.exit_of()


@pytest.mark.parametrize("rounds", [2, pytest.param(50, marks=pytest.mark.torture)])
def test_a_stop_never_splits_a_message(harness: Harness, rounds: int):
    for _ in range(rounds):
        harness.start()
        harness.call(tasks.count_forever)
        harness.until(lambda message: isinstance(message, StateChanged) and message.changes["i"] == b"250")

        assert stop(harness) == WorkExited("root.a", 0)
        changes = [
            int(message.changes["i"]) for message in harness.messages if isinstance(message, StateChanged)
        ]
        assert changes == list(range(len(changes))) or changes == sorted(changes)
        harness.messages.clear()


@pytest.mark.parametrize("step", [8, pytest.param(1, marks=pytest.mark.torture)])
def test_a_stop_between_calls_is_never_lost_in_a_wait(harness: Harness, step: int):
    for i in range(0, 20, step):
        harness.start()
        for _ in range(i):
            harness.call(tasks.answer, i)

        assert stop(harness).exitcode in (0, None)
        assert sum(isinstance(message, RunEnded) for message in harness.messages) <= i
        harness.messages.clear()


def test_a_stop_that_gets_lost_in_the_interpreter_is_sent_again(harness: Harness, tmp_path):
    mark = tmp_path / "waits"
    harness.start(work_side=Unloadable("root.a", partial(tasks.lose_an_exception, str(mark))))
    poll_until(mark.exists)

    assert stop(harness) == WorkExited("root.a", 0)


def test_close_keeps_its_time_with_works_of_every_kind(harness: Harness, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutdown, "TERMINATE_PAUSE", 2.0)  # on a busy machine, half a second is not enough
    names = {f"root.{task.__name__}": task for task in (*STUBBORN, tasks.hang, tasks.hang_with_grandchildren)}
    harness.up(*names)
    for name, task in names.items():
        harness.call(task, name=name)
        harness.hangs(name)

    messages = harness.runner.close(0.5)

    codes = {message.work: message.exitcode for message in messages if isinstance(message, WorkExited)}
    assert codes["root.hang"] == codes["root.hang_with_grandchildren"] == 0
    assert all(codes[f"root.{task.__name__}"] == exitcode for task, exitcode in STUBBORN.items())


@pytest.mark.torture
def test_1000_starts_and_stops_leave_nothing(tmp_path):
    for i in range(250):
        harness = Harness(str(tmp_path / str(i)))
        harness.up(*(f"root.w{j}" for j in range(4)))
        harness.runner.close(DEADLINE)
        files = len(os.listdir("/proc/self/fd"))
        if i == 0:
            at_first = files
        assert files == at_first
