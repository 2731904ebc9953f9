"""P11: from the kill of a work until a pass of the flow sees it, while the other works continue.

At each kill a call of another work is running, which must be answered.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import statistics
import time
from functools import partial
from multiprocessing.connection import wait

from benchmarks.busy import Busy
from benchmarks.busy_bare import busy_process
from benchmarks.measure import Measure
from benchmarks.p4_call import echo
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow, LightningWork

TIMES = 5


class Other(LightningWork):
    """Continues while other works die."""

    def run(self, number: int) -> int:
        """Return the process id."""
        return os.getpid()


class Root(LightningFlow):
    """Kills one work after the other as soon as it is busy, while another work runs a call."""

    def __init__(self) -> None:
        super().__init__()
        self.victims = [Busy() for _ in range(TIMES)]
        self.other = Other(parallel=True)
        self._killed: list[float] = []
        self._known: list[float] = []
        self._number = 0

    def run(self) -> None:
        """Kill each work in turn until all deaths are known and all calls of the other work answered."""
        while self._is_known(self._number, self.victims[self._number]):
            self._number += 1
            if self._number == TIMES:
                print(statistics.median(self._known) * 1000)
                self.stop()
                return

    def _is_known(self, number: int, victim: Busy) -> bool:
        """Kill a work when it is busy; return whether the flow saw it and the other work has answered."""
        victim.run()
        process = self.other.run(-1)
        if process is None or not victim.pid:
            return False
        answer = self.other.run(number)
        if len(self._killed) == number:  # the call is sent at the end of this pass
            self._killed.append(time.monotonic())
            os.kill(victim.pid, signal.SIGKILL)
        elif victim.has_failed and len(self._known) == number:
            self._known.append(time.monotonic() - self._killed[-1])
        assert answer in (None, process), "the other work did not continue: it has a new process"
        return len(self._known) > number and answer is not None


def ours(start_method: str) -> None:
    """Print the milliseconds from a kill to the pass of the flow that sees it."""
    LightningApp(Root()).run(start_method=start_method)


def bare() -> None:
    """Print the milliseconds from a kill to the sentinel of a process of the standard library."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    other = context.Process(target=echo, args=(there,))
    other.start()
    there.close()
    here.send((-1,))
    here.recv()
    durations = []
    for number in range(TIMES):
        victim = busy_process()
        here.send((number,))
        began = time.monotonic()
        victim.kill()
        wait([victim.sentinel])
        durations.append(time.monotonic() - began)
        assert here.recv() == (number,)
        victim.join()
    print(statistics.median(durations) * 1000)
    here.close()
    other.join()


MEASURES = [
    Measure(
        name=name,
        what=f"a killed work is seen by the flow, another one answers a call, {start_method}",
        limit_name="sentinel of multiprocessing",
        unit="ms",
        goal=2,
        ours=partial(figure_of, __name__, "ours", start_method),
        limit=partial(figure_of, __name__, "bare"),
        rounds=5,
    )
    for name, start_method in (("P11", "spawn"), ("P11f", "forkserver"))
]
