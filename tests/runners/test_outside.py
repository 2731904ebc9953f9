"""What comes from outside while nobody waits for letters: it begins at once, and stands before its end."""

from __future__ import annotations

import threading

import pytest
import tasks
from runner_bench import Bench, is_gone

from lightning_lite.messages import ExternalRequest, RestartWanted, StopWanted, WorkExited
from lightning_lite.places import Place
from lightning_lite.testing import poll_until

pytestmark = pytest.mark.dependencies


def begin(bench: Bench, external: ExternalRequest) -> None:
    """Let another thread say what is wanted, as the channel does."""
    thread = threading.Thread(target=bench.runner.take_external, args=(external,))
    thread.start()
    thread.join()


@pytest.mark.parametrize(
    ("external", "exitcode"),
    [(StopWanted("root.a", 5.0), 0), (StopWanted("root.a", 0.0), -9), (RestartWanted("root.a", 5.0), 0)],
)
def test_a_work_ends_while_nobody_waits_and_the_wish_stands_before_its_end(
    bench: Bench, external: ExternalRequest, exitcode: int
):
    (pid,) = bench.up().values()
    bench.call(tasks.hang)
    bench.hangs()

    begin(bench, external)
    poll_until(lambda: is_gone(pid))
    exited = bench.exit_of()

    assert exited == WorkExited("root.a", exitcode)
    wishes = [message for message in bench.messages if isinstance(message, ExternalRequest)]
    assert wishes == [external]  # taken together with the end, or before


def test_what_is_wanted_of_an_old_process_does_not_reach_the_new_one(bench: Bench):
    """The machine may be quicker than the thread of the channel."""
    bench.up()
    old = bench.runner._processes["root.a"]
    begin(bench, RestartWanted("root.a", 5.0))
    bench.exit_of()
    (pid,) = bench.up().values()

    old.begin_end(at_once=True)

    assert bench.run(tasks.pid) == pid


def test_a_wish_about_a_work_without_a_process_only_arrives(bench: Bench):
    begin(bench, StopWanted("root.nobody", 0.0))

    assert bench.until(StopWanted) == StopWanted("root.nobody", 0.0)


def test_a_wish_ends_the_waiting_for_letters(bench: Bench):
    bench.up()
    timer = threading.Timer(0.05, bench.runner.take_external, [StopWanted("root.nobody", 0.0)])
    timer.start()

    assert bench.runner.wait(60.0) == [StopWanted("root.nobody", 0.0)]
    timer.join()


def test_the_processes_are_known_by_name(bench: Bench):
    pids = bench.up("root.a", "root.b")

    assert bench.runner.places() == {name: Place.of(pid) for name, pid in pids.items()}
