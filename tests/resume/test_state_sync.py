"""State between real processes: no change is lost, reordered or mixed, and only changes are sent."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from state_works import Big, Follower, Heavy, Numbers

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.engine.work_machine import WorkMachine
from lightning_lite.messages import RunCall, StateChanged
from lightning_lite.values.pickling import pack

from tests.support.simulation import MessageCollector, only


class Watch(LightningFlow):
    """Asserts that the numbers only grow, and that the list only gets longer."""

    def __init__(self, num_works, count):
        super().__init__()
        self.numbers = [Numbers() for _ in range(num_works)]
        self._count = count
        self._seen = [(0, [])] * num_works

    def run(self):
        for position, work in enumerate(self.numbers):
            last, items = self._seen[position]
            assert work.last >= last
            assert work.items[: len(items)] == items
            self._seen[position] = work.last, list(work.items)
            work.run(self._count)
        if all(work.has_succeeded for work in self.numbers):
            self.stop()


def count_up(num_works, count):
    root = Watch(num_works, count)
    LightningApp(root).run()

    for work in root.numbers:
        assert work.last == count
        assert work.items == list(range(50, count + 1, 50))
        assert work.table == {str(number % 7): number for number in work.items}


def test_numbered_changes_of_two_works_arrive_in_order():
    count_up(2, 300)


@pytest.mark.torture
def test_a_hundred_thousand_numbered_changes_arrive_in_order():
    count_up(4, 25_000)


class Killer(LightningFlow):
    """Kills the work at many moments of its changes, and checks each state that arrives."""

    def __init__(self, num_kills, nbytes):
        super().__init__()
        self.heavy = Heavy(nbytes)
        self._nbytes = nbytes
        self._kills = num_kills
        self._killed = set()
        self._seen = set()

    def run(self):
        self.heavy.run()
        block = self.heavy.block
        assert block == block[0] * self._nbytes, "a state is mixed"
        self._seen.add(block[0])
        pid = self.heavy.pid
        if pid and pid not in self._killed and len(self._seen) > 1:
            if len(self._killed) == self._kills:
                self.stop()
            self._seen.clear()
            self._killed.add(pid)
            # The delay varies, so that some kills come while a change is in the pipe.
            pause = threading.Timer(0.002 * (len(self._killed) % 17), os.kill, (pid, signal.SIGKILL))
            pause.start()
            pause.join()


def kill_during_changes(num_kills, nbytes):
    root = Killer(num_kills, nbytes)
    LightningApp(root).run()

    assert len(root._killed) == num_kills
    assert root.heavy.num_failures >= num_kills


@pytest.mark.filterwarnings("ignore:root.heavy.block has")
def test_a_kill_during_a_big_change_leaves_the_state_before_or_after_it():
    kill_during_changes(2, 1_500_000)


@pytest.mark.filterwarnings("ignore:root.heavy.block has")
@pytest.mark.torture
def test_sixty_kills_during_big_changes():
    kill_during_changes(60, 16_000_000)


def test_an_assignment_sends_only_the_changed_attribute():
    collector = MessageCollector(WorkMachine(Big()))
    collector.work_side.open(collector.send, collector.request_report)

    collector.work_side.perform(RunCall("", "key", 1, pack(((), {})), {}, 0))

    messages = collector.take()
    changed = {name for message in messages for name in message.changes}
    assert changed == {"step"}
    assert sum(len(value) for message in messages for value in message.changes.values()) < 1_000
    assert len(only(messages, StateChanged)) == 1  # the others are merged, and wait for its acknowledgement
    assert collector.num_report_requests == 0  # the list was not compared


@pytest.mark.parametrize(
    "value", [1, 2.5, "é", True, [1, [2, {"a": None}]], {"a": (1, 2), "3": [4]}, {1: "int key"}, -0.0, [], {}]
)
def test_a_running_work_gets_any_json_value(value):
    class Root(LightningFlow):
        def __init__(self):
            super().__init__()
            self.follower = Follower(value)

        def run(self):
            self.follower.run()
            if self.follower.is_running and self.follower.goal is None:
                self.follower.goal = value
            if self.follower.done:
                self.stop()

    root = Root()
    LightningApp(root).run("inline")

    assert repr(root.follower.goal) == repr(value)
