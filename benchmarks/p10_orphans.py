"""P10: from the kill of a flow with 8 busy works until these works, and their programs, have exited."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import tempfile
import time
from functools import partial

from benchmarks.busy import NUMBER, Busy
from benchmarks.measure import Measure
from benchmarks.p10_parent import BusyParent
from benchmarks.programs import DEADLINE, environment
from lightning_lite import LightningApp, LightningFlow


class Root(LightningFlow):
    """Prints the process ids when all works are busy, and continues until it is killed."""

    def __init__(self, work: type[Busy]) -> None:
        super().__init__()
        self.busy = [work() for _ in range(NUMBER)]
        self.has_printed = False

    def run(self) -> None:
        """Print the process ids in one line: of the works, or of the programs that they have started."""
        for work in self.busy:
            work.run()
        if not self.has_printed and all(work.pid for work in self.busy):
            self.has_printed = True
            print(*(work.pid for work in self.busy), flush=True)


def ours(start_method: str) -> None:
    """Run the app until it is killed."""
    LightningApp(Root(Busy)).run(start_method=start_method)


def ours_with_programs(start_method: str) -> None:
    """Run an app whose works have started programs until it is killed."""
    LightningApp(Root(BusyParent)).run(start_method=start_method)


def exit_time(module: str, function: str, *arguments: object) -> float:
    """Return the milliseconds from the kill of the program until all processes that it prints have exited."""
    call = f"{function}({', '.join(map(repr, arguments))})"
    command = [sys.executable, "-c", f"from {module} import {function}; {call}"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as program,
    ):
        assert program.stdout is not None
        pids = [int(word) for word in program.stdout.readline().split()]
        if len(pids) != NUMBER:
            program.kill()
            raise RuntimeError(f"the program printed {len(pids)} process ids, not {NUMBER}")
        processes = [os.pidfd_open(pid) for pid in pids]
        began = time.monotonic()
        program.kill()
        are_gone = [select.select([process], [], [], DEADLINE)[0] for process in processes]
        ended = time.monotonic()
        for process in processes:
            os.close(process)
    if not all(are_gone):
        raise RuntimeError(f"some of the processes {pids} had not exited after {DEADLINE} s")
    return (ended - began) * 1000


def measure(name: str, what: str, goal: float, suffix: str, start_method: str) -> Measure:
    """Return the measure of one kind of process and one start method."""
    return Measure(
        name=name,
        what=f"flow killed (-9) with 8 busy works, {what}, {start_method}",
        limit_name="parent-death signals alone",
        unit="ms",
        goal=goal - 4,  # the limit takes 4
        ours=partial(exit_time, __name__, f"ours{suffix}", start_method),
        limit=partial(exit_time, "benchmarks.p10_bare", f"bare{suffix}", NUMBER),
        rounds=5,
        difference=True,
    )


MEASURES = [
    measure("P10", "none left", 50, "", "spawn"),
    measure("P10f", "none left", 50, "", "forkserver"),
    measure("P10g", "none of a program of each left", 2000, "_with_programs", "spawn"),
    measure("P10gf", "none of a program of each left", 2000, "_with_programs", "forkserver"),
]
