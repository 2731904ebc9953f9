"""A request from outside starts at once, also while no thread waits, and is reported before its effect."""

from __future__ import annotations

import threading

import pytest
import tasks
from harness import DEADLINE, Harness

from lightning_lite.main_messages import ExternalRequest, RestartWanted, StopWanted, WorkExited
from lightning_lite.process_places import Place
from lightning_lite.testing import poll_until

from tests.support.processes import is_gone

pytestmark = pytest.mark.dependencies


def begin(harness: Harness, external: ExternalRequest) -> None:
    """Let another thread say what is wanted, as the channel does."""
    thread = threading.Thread(target=harness.runner.take_external, args=(external,))
    thread.start()
    thread.join()


def test_a_work_ends_without_a_wait_and_the_request_comes_before_its_exit(harness: Harness):
    wanted = {
        StopWanted("root.a", DEADLINE): 0,
        StopWanted("root.b", 0.0): -9,
        RestartWanted("root.c", DEADLINE): 0,
    }
    pids = harness.up("root.a", "root.b", "root.c")
    assert harness.runner.places() == {name: Place.of(pid) for name, pid in pids.items()}

    for external, exitcode in wanted.items():
        name = external.work
        harness.call(tasks.hang, name=name)
        harness.hangs(name)

        begin(harness, external)
        poll_until(lambda pid=pids[name]: is_gone(pid))
        exited = harness.exit_of(name)

        assert exited == WorkExited(name, exitcode)
        requests = [message for message in harness.messages if isinstance(message, ExternalRequest)]
        assert requests == [external]  # taken together with the end, or before
        harness.messages.clear()


def test_what_is_wanted_of_an_old_process_does_not_reach_the_new_one(harness: Harness):
    """The machine may be quicker than the thread of the channel."""
    harness.up()
    old = harness.runner._processes["root.a"]
    begin(harness, RestartWanted("root.a", 5.0))
    harness.exit_of()
    (pid,) = harness.up().values()

    old.begin_end(at_once=True)

    assert harness.run(tasks.pid) == pid


def test_an_external_request_about_a_work_without_a_process_is_only_returned(harness: Harness):
    begin(harness, StopWanted("root.nobody", 0.0))

    assert harness.until(StopWanted) == StopWanted("root.nobody", 0.0)


def test_an_external_request_ends_a_wait(harness: Harness):
    harness.up()
    timer = threading.Timer(0.05, harness.runner.take_external, [StopWanted("root.nobody", 0.0)])
    timer.start()

    assert harness.runner.wait(60.0) == [StopWanted("root.nobody", 0.0)]
    timer.join()
