"""P2: from `app.run()` until 8, 32 and 100 works are in their `run`, spawned and forked from a server."""

from __future__ import annotations

import multiprocessing
import time
from functools import partial

from benchmarks.measure import Measure
from benchmarks.p1_bare import body
from benchmarks.p1_body import Body
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow

#: The highest accepted ratio by start method.
GOALS = {"spawn": 0.5, "forkserver": 0.15}


class Root(LightningFlow):
    """Asks all works once, at the same time."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self.bodies = [Body(parallel=True) for _ in range(number)]
        self.entered = 0.0

    def run(self) -> None:
        """Keep the time at which the last one was entered."""
        moments = [work.run() for work in self.bodies]
        if all(moments):
            self.entered = max(moments)
            self.stop()


def ours(number: int, start_method: str) -> None:
    """Print the seconds from `app.run()` until the last work was entered."""
    root = Root(number)
    app = LightningApp(root)
    began = time.monotonic()
    app.run(start_method=start_method)
    print(root.entered - began)


def bare(number: int) -> None:
    """Print the same for the same number of processes of the standard library."""
    context = multiprocessing.get_context("spawn")
    processes, receivers = [], []
    began = time.monotonic()
    for _ in range(number):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=body, args=(sender,))
        process.start()
        processes.append(process)
        receivers.append(receiver)
    print(max(receiver.recv() for receiver in receivers) - began)
    for process in processes:
        process.join()


def measure(number: int, start_method: str) -> Measure:
    """Return the measure of one number of works and one start method."""
    return Measure(
        name="P2" if start_method == "spawn" else "P2f",
        what=f"{number} works up, {start_method}",
        limit_name="multiprocessing, spawn",
        unit="s",
        goal=GOALS[start_method],
        ours=partial(figure_of, __name__, "ours", number, start_method),
        limit=partial(figure_of, __name__, "bare", number),
        rounds=5,
    )


MEASURES = [measure(number, start_method) for start_method in GOALS for number in (8, 32, 100)]
