"""P3: the private memory of one idle work."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import sys
from functools import partial

import psutil

from benchmarks.measure import Measure
from benchmarks.p3_bare import idle
from benchmarks.p3_idler import Idler
from benchmarks.programs import figure_of, figure_of_script
from lightning_lite import LightningApp, LightningFlow, LightningWork

NUMBER = 8


class ScriptIdler(LightningWork):
    """The same as `Idler`, but of this file, which runs as a script: the class is sent by value."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.pid = 0

    def run(self) -> None:
        """Store the process id."""
        self.pid = os.getpid()


class Root(LightningFlow):
    """Runs each work once, and measures all of them when they wait for the next call."""

    def __init__(self, idler: type[LightningWork]) -> None:
        super().__init__()
        self.idlers = [idler() for _ in range(NUMBER)]

    def run(self) -> None:
        """Print the private memory of one work."""
        for work in self.idlers:
            work.run()
        if all(work.has_succeeded for work in self.idlers):
            print(private_memory([work.pid for work in self.idlers]))
            self.stop()


def private_memory(pids: list[int]) -> float:
    """Return the median of the private memory of these processes, in MiB."""
    return float(statistics.median(psutil.Process(pid).memory_full_info().uss for pid in pids)) / (1 << 20)


def ours(start_method: str, idler: type[LightningWork] = Idler) -> None:
    """Print the MiB of one idle work."""
    LightningApp(Root(idler)).run(start_method=start_method)


def bare() -> None:
    """Print the MiB of one idle process of the standard library."""
    context = multiprocessing.get_context("spawn")
    processes, connections = [], []
    for _ in range(NUMBER):
        here, there = context.Pipe()
        process = context.Process(target=idle, args=(there,))
        process.start()
        processes.append(process)
        connections.append(here)
    for connection in connections:
        connection.recv()
    print(private_memory([process.pid for process in processes if process.pid]))
    for connection in connections:
        connection.send("end")


if __name__ == "__main__":
    ours(sys.argv[1], ScriptIdler)

LIMIT = partial(figure_of, __name__, "bare")

MEASURES = [
    Measure(
        name="P3a",
        what="memory of an idle work, importable class",
        limit_name="multiprocessing, spawn",
        unit="MiB",
        goal=0.7,
        ours=partial(figure_of, __name__, "ours", "spawn"),
        limit=LIMIT,
        rounds=5,
    ),
    Measure(
        name="P3c",
        what="memory of an idle work, class of a script",
        limit_name="multiprocessing, spawn",
        unit="MiB",
        goal=1.1,
        ours=partial(figure_of_script, __file__, "spawn"),
        limit=LIMIT,
        rounds=5,
    ),
    Measure(
        name="P3f",
        what="memory of an idle work, importable class, fork server (without shared memory)",
        limit_name="nothing",
        unit="MiB",
        goal=2.5,
        ours=partial(figure_of, __name__, "ours", "forkserver"),
        limit=float,
        rounds=5,
        difference=True,
    ),
]
