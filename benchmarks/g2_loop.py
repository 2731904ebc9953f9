"""G2: the cost of a call in a loop of the flow, for a long loop and a short one.

    for number in range(n):
        self.echo.run(number)

The loop runs from its first line in each pass, so a call must not cost a pass.
"""

from __future__ import annotations

import time
from functools import partial

from benchmarks.measure import Measure
from benchmarks.p4_call import Echo
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow


class Loop(LightningFlow):
    """Makes `n` calls in one loop, and prints the microseconds of a call from the second one on."""

    def __init__(self, n: int) -> None:
        super().__init__()
        self.echo = Echo()
        self._n = n
        self._began: float | None = None

    def run(self) -> None:
        """Make the calls."""
        for number in range(self._n):
            assert self.echo.run(number) == number
            self._began = self._began or time.monotonic()
        print((time.monotonic() - self._began) / (self._n - 1) * 1e6 if self._began else 0.0)
        self.stop()


def long_loop() -> None:
    """Print the microseconds of a call in a loop of 4,000."""
    LightningApp(Loop(4000)).run()


def short_loop() -> None:
    """Print the microseconds of a call in a loop of 250."""
    LightningApp(Loop(250)).run()


MEASURES = [
    Measure(
        name="G2",
        what="a call in a loop of 4,000 calls in one run of the flow",
        limit_name="a call in a loop of 250",
        unit="µs",
        goal=1.1,
        ours=partial(figure_of, __name__, "long_loop"),
        limit=partial(figure_of, __name__, "short_loop"),
    )
]
