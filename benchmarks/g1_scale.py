"""G1: the cost of a call with idle works, remembered calls, and state that the pass does not read.

Two apps of different size are up at the same time and make 40 calls in turns, so that both run on a machine
of the same speed; the figure of a turn is the median of its calls. Each remembered call was a real one.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from functools import partial
from itertools import pairwise

from benchmarks.measure import Measure
from benchmarks.p4_call import Echo
from benchmarks.programs import AskedProgram
from lightning_lite import LightningApp, LightningFlow
from lightning_lite.errors import LightningFlowWarning

#: Calls of one turn. They are remembered, too: few, so that the smallest app stays small.
CALLS = 40
ROUNDS = 15

#: What grows, and its sizes.
SCALES = {
    "idle works": (4, 16, 64, 256),
    "remembered calls": (10, 100, 1_000, 10_000, 100_000),
    "bytes of state": (1_000, 100_000, 10_000_000),
}

#: Seconds until the biggest app has made its calls. A bound on hanging, not on speed.
READY = 600

_programs: dict[tuple[str, int], AskedProgram] = {}


class Root(LightningFlow):
    """Makes a turn of calls for each line that it reads, in an app with many unrelated objects."""

    def __init__(self, num_idle: int, num_remembered: int, num_bytes: int) -> None:
        super().__init__()
        self.echo = Echo()
        self.idlers = [Echo(parallel=True) for _ in range(num_idle)]
        self.ballast = list(range(num_bytes // 8))
        self._are_idlers_up = False
        self._number = 0
        self._turn_ends = num_remembered
        self._moments: list[float] = []

    def run(self) -> None:
        """Continue with the call that the last pass asked for."""
        self._are_idlers_up = self._are_idlers_up or None not in [work.run(0) for work in self.idlers]
        while self._are_idlers_up:
            if self._number == self._turn_ends:
                print(median_step(self._moments), flush=True)
                if not sys.stdin.readline():
                    self.stop()
                    return
                self._turn_ends += CALLS
                self._moments = [time.monotonic()]
            self.echo.run(self._number)
            self._number += 1
            self._moments.append(time.monotonic())


def median_step(moments: list[float]) -> float:
    """Return the median of the microseconds between successive times."""
    return statistics.median(after - before for before, after in pairwise(moments)) * 1e6


def app(scale: str, size: int) -> None:
    """Print the microseconds of a call in an app of that size, for each line that is read."""
    sizes = {name: ends[0] for name, ends in SCALES.items()} | {scale: size}
    warnings.simplefilter("ignore", LightningFlowWarning)  # the flow waits for its turn in a pass
    start_method = "forkserver" if scale == "idle works" else "spawn"
    LightningApp(Root(*sizes.values())).run(start_method=start_method)


def cost(scale: str, size: int) -> float:
    """Return the microseconds of a call in an app of that size; the app stays up for the next figure."""
    if (scale, size) not in _programs:
        _programs[scale, size] = AskedProgram(__name__, "app", scale, size, deadline=READY)
    return _programs[scale, size].figure()


def end() -> None:
    """End all apps."""
    while _programs:
        _, program = _programs.popitem()
        program.end()


def _measure(name: str, what: str, limit_name: str, scale: str) -> Measure:
    smallest, *_, biggest = SCALES[scale]
    return Measure(
        name=name,
        what=f"a call {what}, median of {CALLS} in each turn",
        limit_name=limit_name,
        unit="µs",
        goal=1.1,
        ours=partial(cost, scale, biggest),
        limit=partial(cost, scale, smallest),
        rounds=ROUNDS,
        end=end,
    )


MEASURES = [
    _measure("G1a", "with 256 idle works", "with 4", "idle works"),
    _measure("G1b", "after 100,000 others", f"after 10 to {10 + ROUNDS * CALLS}", "remembered calls"),
    _measure("G1c", "with 10 MB of state", "with 1 kB", "bytes of state"),
]
