"""Works that are called for minutes while the second node of their cluster dies and comes back."""

from __future__ import annotations

import os
import sys
import threading

import psutil
import pytest
import tasks
from harness import DEADLINE, Harness
from work_sides import TaskSide

from lightning_lite.main_messages import StartWork, WorkExited
from lightning_lite.messages import RunCall, RunEnded, WorkStarted
from lightning_lite.resources import Resources
from lightning_lite.runners.base import RemoteOptions
from lightning_lite.runners.remote.lease import read_clock
from lightning_lite.runners.remote.ray_cluster import RayCluster
from lightning_lite.runners.remote.runner import RemoteRunner
from lightning_lite.values.pickling import pack, unpack

from tests.support.processes import is_gone

SECONDS = float(os.environ.get("LIGHTNING_LITE_TORTURE_SECONDS", "300"))

FIRST = Resources(custom=(("first", 0.1),))
SECOND = Resources(custom=(("second", 0.1),))

LEASE = 3.0


class Caller:
    """Keeps one work busy: one call after the other, each until it is answered, over all its processes."""

    def __init__(self, remote: Harness, name: str, resources: Resources) -> None:
        self._remote = remote
        self._name = name
        self._resources = resources
        self._pid = 0
        self.number = 0
        self.losses = 0
        self.start()

    def start(self) -> None:
        work_side = pack(TaskSide(self._name))
        self._remote.runner.send(StartWork(self._name, work_side, resources=self._resources))

    def _call(self) -> None:
        arguments = pack((tasks.answer, self.number))
        self._remote.runner.send(RunCall(self._name, str(self.number), 1, arguments, {}, 0))

    def take(self, message: object) -> None:
        if isinstance(message, WorkStarted):
            self._pid = message.place.pid
            self._call()
        elif isinstance(message, RunEnded):
            assert (message.key, unpack(message.value)) == (str(self.number), self.number)
            self.number += 1
            self._call()
        elif isinstance(message, WorkExited):
            assert message.lost, message
            assert not self._pid or is_gone(self._pid)
            self.losses += 1
            self._pid = 0
            self.start()
        else:
            raise AssertionError(message)


@pytest.mark.torture
@pytest.mark.timeout(SECONDS + 200)
def test_each_call_is_answered_once_while_a_node_comes_and_goes(tmp_path, cluster):
    options = RemoteOptions(address=cluster.address, lease=LEASE)
    remote = Harness(str(tmp_path), lambda given: RemoteRunner(given, RayCluster(options)), remote=options)
    callers = {
        f"root.{name}": Caller(remote, f"root.{name}", resources)
        for name, resources in (("a", FIRST), ("b", FIRST), ("c", SECOND), ("d", SECOND))
    }
    over = threading.Event()

    def come_and_go() -> None:
        while not over.wait(12.0):
            cluster.command("kill")
            over.wait(3.0)
            cluster.command("add")

    thread = threading.Thread(target=come_and_go)
    thread.start()
    process, until, held = psutil.Process(), read_clock() + SECONDS, None
    try:
        while read_clock() < until:
            for message in remote.runner.wait(1.0):
                callers[message.work].take(message)
            if held is None and read_clock() > until - 0.8 * SECONDS:
                held = process.num_fds(), process.num_threads()
    finally:
        over.set()
        thread.join()
    descriptors, threads = process.num_fds(), process.num_threads()
    remote.runner.close(DEADLINE)

    assert min(caller.number for caller in callers.values()) > SECONDS
    assert sum(callers[name].losses for name in ("root.a", "root.b")) == 0
    assert sum(callers[name].losses for name in ("root.c", "root.d")) > SECONDS / 40
    assert held is not None
    assert descriptors <= held[0] + 10
    assert threads <= held[1] + 2
    counts = {name: (caller.number, caller.losses) for name, caller in callers.items()}
    sys.stdout.write(f"calls and losses {counts}, descriptors and threads {held} {descriptors, threads}\n")
