"""P1f: works of a script's class from a fork server: the first one, and each further one.

The first one starts the server and takes the way of P1c: from `app.run()` to the first line of its `run`. A
further one finds the server up: from the line of the flow that calls it to the first line of its `run`. The
works start one after the other, so none shares the processors with another start, as in the limit.
"""

from __future__ import annotations

import statistics
import sys
import time
from functools import partial

from benchmarks.measure import Measure
from benchmarks.programs import figure_of, figure_of_script
from lightning_lite import LightningApp, LightningFlow, LightningWork

#: How many works start after the first one.
FURTHER = 8


class ScriptBody(LightningWork):
    """Returns the time at which its `run` was entered; of this file, which runs as a script."""

    def run(self) -> float:
        """Return the time of the monotonic clock, which is the same in all processes."""
        return time.monotonic()


class Root(LightningFlow):
    """Calls one work after the other; each process starts at the call."""

    def __init__(self) -> None:
        super().__init__()
        self.first = ScriptBody()
        self.further = [ScriptBody(start_with_flow=False) for _ in range(FURTHER)]
        self.entered = 0.0
        self.durations: list[float] = []
        self._asked: list[float] = []

    def run(self) -> None:
        """Store when the first work was entered, and how long each further one took."""
        self.entered = self.first.run()
        for number, work in enumerate(self.further):
            if number == len(self._asked):  # a pass that was cut asks again, without a new start
                self._asked.append(time.monotonic())
            entered = work.run()
            if number == len(self.durations):
                self.durations.append(entered - self._asked[number])
        self.stop()


def ours(figure: str) -> None:
    """Print the seconds of the first work, or the median of the further ones.

    Args:
        figure: "first" or "further".
    """
    root = Root()
    app = LightningApp(root)
    began = time.monotonic()
    app.run(start_method="forkserver")
    print({"first": root.entered - began, "further": statistics.median(root.durations)}[figure])


if __name__ == "__main__":
    ours(*sys.argv[1:])

MEASURES = [
    Measure(
        name="P1f",
        what=what,
        limit_name="multiprocessing, spawn",
        unit="s",
        goal=goal,
        ours=partial(figure_of_script, __file__, figure),
        limit=partial(figure_of, "benchmarks.p1_bare", "bare"),
    )
    for figure, goal, what in (
        ("first", 1.3, "app.run() to the body of the first run, class of a script, forkserver"),
        ("further", 0.15, "a call to the body of its run, the fork server is up, class of a script"),
    )
]
