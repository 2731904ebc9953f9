"""How works are stopped: told first, killed at last, and never more than the time that was given."""

from __future__ import annotations

import os
import signal
from functools import partial
from time import monotonic

import psutil
import pytest
import tasks
from hosts import BrokenHost, Unloadable
from runner_bench import DEADLINE, Bench, poll_until, wait_until_gone

from lightning_lite.messages import KillWork, RunEnded, StateChanged, StopWork, WorkExited, WorkStarted

#: Tasks, and the exit codes with which they end.
STUBBORN = {
    tasks.hang_ignoring_everything: -signal.SIGKILL,
    tasks.swallow_everything: -signal.SIGKILL,
    tasks.hang_holding_the_gil: -signal.SIGKILL,
    tasks.stop_itself: 0,  # the signal to continue lets it hear the other one
}


def stop(bench: Bench, timeout: float = DEADLINE, name: str = "root.a") -> WorkExited:
    bench.runner.send(StopWork(name, timeout))
    return bench.exit_of(name)


@pytest.mark.parametrize(
    "task", [None, tasks.hang, tasks.spin, tasks.swallow_exceptions, tasks.block_in_a_read]
)
def test_a_work_that_listens_ends_in_order(bench: Bench, tmp_path, task):
    bench.start()
    bench.run(tasks.report_exit, str(tmp_path / "exits"))
    if task is not None:
        bench.call(task)
        bench.hangs()

    assert stop(bench) == WorkExited("root.a", 0)
    assert (tmp_path / "exits").read_text() == "exit\n"
    assert isinstance(bench.messages[-1], StateChanged)
    assert bench.messages[-1].changes == {"last": b"words"}


def test_a_second_signal_does_not_disturb_the_exit(bench: Bench, tmp_path):
    pid = bench.up()["root.a"]
    bench.run(tasks.report_exit, str(tmp_path / "exits"))  # its `on_exit` sends a signal to itself
    os.kill(pid, signal.SIGTERM)
    os.kill(pid, signal.SIGTERM)

    assert bench.exit_of() == WorkExited("root.a", 0)
    assert (tmp_path / "exits").read_text() == "exit\n"


def test_a_second_signal_does_not_cut_what_cleans_up(bench: Bench):
    bench.start()
    bench.call(tasks.clean_up_under_fire)
    bench.hangs()

    assert stop(bench) == WorkExited("root.a", 0)
    assert "cleaned" in bench.messages[-1].changes


@pytest.mark.parametrize("task", STUBBORN)
def test_a_work_that_does_not_listen_is_killed_when_its_time_is_over(bench: Bench, task):
    pid = bench.up()["root.a"]
    bench.call(task)
    bench.hangs()
    if task is tasks.stop_itself:
        poll_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, "it is stopped")
    begun = monotonic()

    exited = stop(bench, timeout=0.2)

    assert exited == WorkExited("root.a", STUBBORN[task])
    assert monotonic() - begun >= 0.2  # it was given its time


def test_a_stop_takes_the_whole_group_along(bench: Bench):
    bench.start()
    bench.call(tasks.hang_with_grandchildren)
    pids = eval(bench.hangs()["pids"])

    assert stop(bench) == WorkExited("root.a", 0)
    wait_until_gone(*pids)


@pytest.mark.parametrize("host", ["in on_start", "before the process is up", "while it loads"])
def test_a_work_is_stopped_while_it_starts(bench: Bench, host: str):
    if host == "in on_start":
        bench.start(host=BrokenHost("root.a", tasks.hang))
        bench.hangs()
    elif host == "while it loads":
        bench.start()
        bench.runner.wait(0.02)
    else:
        bench.start()

    assert stop(bench).exitcode in (0, None)
    assert [message for message in bench.messages if not isinstance(message, WorkStarted)] == []


def test_stopping_again_shortens_the_time(bench: Bench):
    bench.start()
    bench.call(tasks.hang_ignoring_everything)
    bench.hangs()

    bench.runner.send(StopWork("root.a", 3600.0))

    assert stop(bench, timeout=0.0) == WorkExited("root.a", -9)


def test_a_work_that_is_being_stopped_can_be_killed(bench: Bench):
    bench.start()
    bench.call(tasks.hang_ignoring_everything)
    bench.hangs()
    bench.runner.send(StopWork("root.a", 3600.0))

    bench.runner.send(KillWork("root.a"))

    assert bench.exit_of() == WorkExited("root.a", -9)


def test_others_are_heard_while_one_is_being_stopped(bench: Bench):
    bench.up("root.a", "root.b")
    bench.call(tasks.hang_ignoring_everything)
    bench.hangs()
    bench.runner.send(StopWork("root.a", 0.5))

    assert bench.run(tasks.answer, "here", name="root.b") == "here"
    assert not any(isinstance(message, WorkExited) for message in bench.messages)
    bench.exit_of()


def test_a_stop_never_cuts_a_letter(bench: Bench):
    for _ in range(10):
        bench.start()
        bench.call(tasks.count_forever)
        bench.until(lambda message: isinstance(message, StateChanged) and message.changes["i"] == b"250")

        assert stop(bench) == WorkExited("root.a", 0)
        changes = [
            int(message.changes["i"]) for message in bench.messages if isinstance(message, StateChanged)
        ]
        assert changes == list(range(len(changes))) or changes == sorted(changes)
        bench.messages.clear()


def test_a_work_told_to_stop_between_calls_never_falls_asleep_over_it(bench: Bench):
    for i in range(20):
        bench.start()
        for _ in range(i):
            bench.call(tasks.answer, i)

        assert stop(bench).exitcode in (0, None)
        assert sum(isinstance(message, RunEnded) for message in bench.messages) <= i
        bench.messages.clear()


def test_a_stop_that_gets_lost_in_the_interpreter_is_said_again(bench: Bench, tmp_path):
    mark = tmp_path / "waits"
    bench.start(host=Unloadable("root.a", partial(tasks.lose_an_exception, str(mark))))
    poll_until(mark.exists, "the work waits")

    assert stop(bench) == WorkExited("root.a", 0)


def test_close_keeps_its_time_with_works_of_every_kind(bench: Bench):
    names = {f"root.{task.__name__}": task for task in (*STUBBORN, tasks.hang, tasks.hang_with_grandchildren)}
    bench.up(*names)
    for name, task in names.items():
        bench.call(task, name=name)
        bench.hangs(name)

    messages = bench.runner.close(0.5)

    codes = {message.work: message.exitcode for message in messages if isinstance(message, WorkExited)}
    assert codes["root.hang"] == codes["root.hang_with_grandchildren"] == 0
    assert all(codes[f"root.{task.__name__}"] == exitcode for task, exitcode in STUBBORN.items())


@pytest.mark.torture
def test_1000_starts_and_stops_leave_nothing(tmp_path):
    for i in range(250):
        bench = Bench(str(tmp_path / str(i)))
        bench.up(*(f"root.w{j}" for j in range(4)))
        bench.runner.close(DEADLINE)
        files = len(os.listdir("/proc/self/fd"))
        if i == 0:
            at_first = files
        assert files == at_first
