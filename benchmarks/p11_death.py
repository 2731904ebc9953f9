"""P11: from the kill of a work until the flow knows of it."""

from __future__ import annotations

import os
import signal
import statistics
import time
from functools import partial
from multiprocessing.connection import wait

from benchmarks.busy import Busy
from benchmarks.busy_bare import busy_process
from benchmarks.measure import Measure
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow

TIMES = 5


class Root(LightningFlow):
    """Kills one work after the other as soon as it is busy."""

    def __init__(self) -> None:
        super().__init__()
        self.victims = [Busy() for _ in range(TIMES)]
        self._killed: list[float] = []
        self._known: list[float] = []

    def run(self) -> None:
        """Kill the next one, or note how long it took to hear of the last one."""
        work = self.victims[len(self._known)]
        work.run()
        if work.has_failed:
            self._known.append(time.monotonic() - self._killed[-1])
            if len(self._known) == TIMES:
                print(statistics.median(self._known) * 1000)
                self.stop()
        elif work.pid and len(self._killed) == len(self._known):
            self._killed.append(time.monotonic())
            os.kill(work.pid, signal.SIGKILL)


def ours(start_method: str) -> None:
    """Print the milliseconds from a kill to the pass of the flow that sees it."""
    LightningApp(Root()).run(start_method=start_method)


def bare() -> None:
    """Print the milliseconds from a kill to the sentinel of a process of the standard library."""
    durations = []
    for _ in range(TIMES):
        process = busy_process()
        began = time.monotonic()
        process.kill()
        wait([process.sentinel])
        durations.append(time.monotonic() - began)
        process.join()
    print(statistics.median(durations) * 1000)


MEASURES = [
    Measure(
        name=name,
        what=f"a killed work is known, {start_method}",
        limit_name="sentinel of multiprocessing",
        unit="ms",
        goal=2,
        ours=partial(figure_of, __name__, "ours", start_method),
        limit=partial(figure_of, __name__, "bare"),
        rounds=5,
    )
    for name, start_method in (("P11", "spawn"), ("P11f", "forkserver"))
]
