"""Works that die: every end is reported with its name, and harms no other work."""

from __future__ import annotations

import itertools
import os
import random
import signal

import pytest
import tasks
from harness import Harness
from work_sides import BrokenSide, Unloadable

from lightning_lite.main_messages import KillWork, WorkExited
from lightning_lite.messages import RunEnded, StartFailed, StateChanged, WorkStarted
from lightning_lite.runners import exit_status
from lightning_lite.runners.exit_status import describe_exit
from lightning_lite.runners.processes import process
from lightning_lite.values.pickling import unpack

from tests.support.processes import is_gone, wait_until_gone

HOW = {
    "SIGKILL": -signal.SIGKILL,
    "SIGSEGV": -signal.SIGSEGV,
    "SIGABRT": -signal.SIGABRT,
    "exit": 3,
    "_exit 0": 0,
    "_exit 3": 3,
}
SIGNALS = ["SIGKILL", "SIGSEGV", "SIGABRT"]


def test_a_death_in_a_call_is_reported_with_its_exit_code(harness: Harness):
    for how in HOW:
        harness.start(f"root.{how}")
        harness.call(tasks.die, how, name=f"root.{how}")

    exits = {how: harness.exit_of(f"root.{how}") for how in HOW}

    assert exits == {how: WorkExited(f"root.{how}", exitcode) for how, exitcode in HOW.items()}


def test_a_death_while_idle_is_reported(harness: Harness):
    pids = harness.up(*(f"root.{how}" for how in SIGNALS))
    for how in SIGNALS:
        os.kill(pids[f"root.{how}"], getattr(signal, how))

    exits = {how: harness.exit_of(f"root.{how}") for how in SIGNALS}

    assert exits == {how: WorkExited(f"root.{how}", HOW[how]) for how in SIGNALS}


def test_a_death_while_starting_is_reported(harness: Harness):
    exits = {}
    for work_side, how in itertools.product((BrokenSide, Unloadable), ("SIGKILL", "_exit 3")):
        name = f"root.{work_side.__name__} {how}"
        harness.start(name, work_side=work_side(name, tasks.Death(how)))
        exits[name] = WorkExited(name, HOW[how])

    assert {name: harness.exit_of(name) for name in exits} == exits
    assert harness.messages == []


def test_a_death_before_the_process_has_loaded_anything_is_reported(harness: Harness):
    harness.start()
    while not (place := harness.runner.places().get("root.a")):
        harness.runner.wait(0.001)
    os.kill(place.pid, signal.SIGKILL)

    assert harness.exit_of() == WorkExited("root.a", -9)


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_death_while_sending_leaves_only_whole_messages(harness: Harness, size: int):
    pid = harness.up()["root.a"]
    harness.call(tasks.count, 100_000, size)
    for _ in range(3):
        harness.until(StateChanged)

    os.kill(pid, signal.SIGKILL)

    assert harness.exit_of() == WorkExited("root.a", -9)
    changes = [int(message.changes["i"]) for message in harness.messages]
    assert changes == list(range(3, 3 + len(changes)))


def test_a_death_is_reported_after_all_messages_that_were_sent_before(harness: Harness):
    harness.start()
    harness.call(tasks.count, 500)
    harness.call(tasks.die, "_exit 3")
    harness.exit_of()

    assert [type(message) for message in harness.messages] == [
        WorkStarted, *[StateChanged] * 500, RunEnded, StateChanged,
    ]  # fmt: skip


def test_a_death_is_reported_after_more_messages_than_one_read_returns(harness: Harness):
    pid = harness.up()["root.a"]
    harness.call(tasks.die_leaving_much_to_read)
    wait_until_gone(pid)
    harness.exit_of()

    assert [int(message.changes["i"]) for message in harness.messages] == list(range(40))


def test_what_keeps_a_work_from_starting_arrives_with_its_traceback(harness: Harness):
    cases = {
        f"root.{work_side.__name__} {what}": (work_side, what)
        for work_side in (BrokenSide, Unloadable)
        for what in ("KeyError", "SystemExit", "KeyboardInterrupt")
    }
    for name, (work_side, what) in cases.items():
        harness.start(name, work_side=work_side(name, tasks.Raise(what)))

    for name, (_, what) in cases.items():
        failed = harness.until(StartFailed, name)

        assert failed.failure.reason == "start_failed"
        assert failed.failure.message.startswith(f"{name} could not start: {what}")
        assert "\n" not in failed.failure.message
        assert "in __call__" in failed.failure.traceback
        assert (failed.failure.error is None) == (what != "KeyError"), name
        if failed.failure.error is not None:
            assert isinstance(unpack(failed.failure.error), KeyError)
        assert harness.exit_of(name) == WorkExited(name, 1)


def test_damaged_messages_end_a_work_by_name(harness: Harness):
    for rubbish in (b"rubbish" * 100, bytes(7) + b"\5" + b"trash", b"\0\0\0\0\0\0\0\1."):
        harness.start()
        harness.call(tasks.write_rubbish, rubbish)

        exited = harness.exit_of()

        assert exited.exitcode == -9
        assert exited.detail.startswith("its messages are damaged")


def test_a_work_that_closes_its_pipes_is_ended(harness: Harness):
    harness.start()
    harness.call(tasks.close_all_files)

    assert harness.exit_of().exitcode != 0


def test_a_killed_work_leaves_none_of_its_children(harness: Harness):
    harness.start()
    harness.call(tasks.hang_with_grandchildren)
    pids = eval(harness.hangs()["pids"])

    harness.runner.send(KillWork("root.a"))

    assert harness.exit_of() == WorkExited("root.a", -9)
    wait_until_gone(*pids)


def test_a_crashed_work_leaves_none_of_its_children_and_shows_where_its_python_code_was(harness: Harness):
    harness.start()
    pid = harness.run(tasks.leave_grandchild)
    harness.call(tasks.die, "SIGSEGV")
    harness.exit_of()

    wait_until_gone(pid)
    assert "Fatal Python error: Segmentation fault" in harness.log()
    assert "in die" in harness.log()


def test_a_death_is_reported_although_a_forked_child_holds_the_pipes(harness: Harness):
    harness.start()
    pid = harness.run(tasks.fork_behind_pythons_back)
    harness.call(tasks.die, "_exit 3")

    assert harness.exit_of() == WorkExited("root.a", 3)
    wait_until_gone(pid)


def test_a_death_is_reported_although_other_code_waits_for_all_children(harness: Harness):
    pid = harness.up()["root.a"]
    os.kill(pid, signal.SIGKILL)
    while os.waitpid(-1, 0)[0] != pid:
        pass

    exited = harness.exit_of()

    assert exited == WorkExited("root.a", None, "other code of the app has taken its exit code")


def test_a_kill_while_the_kernel_counts_one_for_want_of_memory_says_so(harness: Harness, monkeypatch):
    pid = harness.up()["root.a"]
    before = exit_status.count_out_of_memory_kills()
    monkeypatch.setattr(process, "count_out_of_memory_kills", lambda: before + 1)

    os.kill(pid, signal.SIGKILL)

    assert harness.exit_of() == WorkExited("root.a", -9, exit_status.OUT_OF_MEMORY)


def test_the_kernels_counter_is_found_in_the_narrowest_place(monkeypatch, tmp_path):
    (tmp_path / "memory.events").write_text("low 0\noom 7\noom_kill 3\noom_group_kill 1\n")
    monkeypatch.setattr(
        exit_status, "_counters", lambda: [tmp_path / "absent", tmp_path / "memory.events", "/proc/vmstat"]
    )

    assert exit_status.count_out_of_memory_kills() == 3


def test_the_others_lose_nothing_when_one_dies_and_dies_again(harness: Harness):
    storm(harness, works=3, kills=3)


@pytest.mark.torture
def test_the_others_lose_nothing_in_80_deaths(harness: Harness):
    storm(harness, works=8, kills=80)


def storm(harness: Harness, works: int, kills: int) -> None:
    """Kill one of some works that all send, again and again; check the numbers of all messages."""
    names = [f"root.w{i}" for i in range(works)]
    pids = harness.up(*names)
    for name in names:
        harness.call(tasks.count_forever, name=name)
    expected = dict.fromkeys(names, 0)
    dice = random.Random(7)
    for _ in range(kills):
        victim = dice.choice(names)
        os.kill(pids[victim], signal.SIGKILL)
        while pids.get(victim):
            harness.messages += harness.runner.wait(60)
            assert harness.messages, "the death of a work was not reported within a minute"
            for message in harness.messages:
                if isinstance(message, StateChanged):
                    assert int(message.changes["i"]) == expected[message.work]
                    expected[message.work] += 1
                elif isinstance(message, WorkExited):
                    assert message == WorkExited(victim, -9)
                    del pids[victim]
            harness.messages.clear()
        expected[victim] = 0
        harness.start(victim)
        harness.call(tasks.count_forever, name=victim)
        pids[victim] = harness.until(WorkStarted, victim).place.pid
    for name in names:
        harness.runner.send(KillWork(name))


def test_every_kill_is_reported_at_any_moment(harness: Harness):
    kill_at_random_moments(harness, kills=4)


@pytest.mark.torture
def test_each_of_250_kills_is_reported(harness: Harness):
    kill_at_random_moments(harness, kills=250)


def kill_at_random_moments(harness: Harness, kills: int) -> None:
    """Kill works while they start, idle, run and send; the deadline of the harness reports a lost exit."""
    dice = random.Random(11)
    for where in itertools.islice(itertools.cycle(("start", "idle", "run", "send")), kills):
        harness.start()
        while not (place := harness.runner.places().get("root.a")):
            harness.messages += harness.runner.wait(0.001)
        if where == "start":
            harness.messages += harness.runner.wait(dice.uniform(0, 0.05))
        else:
            harness.until(WorkStarted)
            if where != "idle":
                harness.call(tasks.spin if where == "run" else tasks.count_forever)
            harness.messages += harness.runner.wait(dice.uniform(0, 0.02))
        os.kill(place.pid, signal.SIGKILL)
        assert harness.exit_of() == WorkExited("root.a", -9)
        assert is_gone(place.pid)
        assert not any(isinstance(message, WorkExited) for message in harness.messages)
        harness.messages.clear()


@pytest.mark.parametrize(
    ("exitcode", "words"),
    [
        (0, "exit code 0"),
        (3, "exit code 3"),
        (-9, "SIGKILL (signal 9)"),
        (-63, "signal 63"),
        (None, "unknown exit code"),
    ],
)
def test_an_exit_code_is_named(exitcode: int | None, words: str):
    assert describe_exit(exitcode) == words
