"""G1: what a call costs beside idle works, remembered calls, and state that the pass does not read.

`python -m benchmarks.g1_scale [file.svg]` prints the costs between the ends, too, and draws them.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable
from functools import partial

from rich.console import Console
from rich.table import Table

from benchmarks.measure import Measure
from benchmarks.p4_call import Echo
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow

CALLS = 2000
VARIABLE = "BENCHMARK_SIZE"

#: Sizes of the scale, and how many figures are taken at each.
IDLE_WORKS = (4, 16, 64, 256)
REMEMBERED = (10, 100, 1_000, 10_000, 100_000)
STATE_BYTES = (1_000, 100_000, 10_000_000)
ROUNDS = 5


class Root(LightningFlow):
    """Asks for call after call, beside much that has nothing to do with it."""

    def __init__(self, num_idle: int = 0, num_remembered: int = 0, num_bytes: int = 0) -> None:
        super().__init__()
        self.echo = Echo()
        self.idlers = [Echo(parallel=True) for _ in range(num_idle)]
        self.ballast = list(range(num_bytes // 8))
        self._first = max(num_remembered, 1)
        self._number = 0
        self._moments: list[float] = []

    def run(self) -> None:
        """Go on with the call that the last pass has asked for."""
        if None in [work.run(0) for work in self.idlers if not self._moments]:
            return
        while self._number <= self._first + CALLS:
            self.echo.run(self._number)
            if self._number >= self._first:
                self._moments.append(time.monotonic())
            self._number += 1
        # The fastest of its parts: what else the machine does is not what is asked.
        parts = [self._moments[at + 100] - self._moments[at] for at in range(0, CALLS - 100, 100)]
        print(statistics.quantiles(parts, n=10)[0] / 100 * 1e6)
        self.stop()


def beside_idle_works() -> None:
    """Print the microseconds of a call beside so many works that are up."""
    LightningApp(Root(num_idle=size())).run(start_method="forkserver")


def after_remembered_calls() -> None:
    """Print the microseconds of a call after so many others."""
    LightningApp(Root(num_remembered=size())).run()


def beside_state() -> None:
    """Print the microseconds of a call in a flow with so many bytes of state."""
    LightningApp(Root(num_bytes=size())).run()


def size() -> int:
    """Return the size that is measured now."""
    return int(os.environ[VARIABLE])


def figure_at(function: str, size: int) -> float:
    """Return what `function` prints for a size."""
    os.environ[VARIABLE] = str(size)
    return figure_of(__name__, function)


def _measure(name: str, what: str, limit_name: str, function: str, sizes: tuple[int, ...]) -> Measure:
    return Measure(
        name=name,
        what=f"a call {what}",
        limit_name=limit_name,
        unit="µs",
        goal=1.1,
        ours=partial(figure_at, function, sizes[-1]),
        limit=partial(figure_at, function, sizes[0]),
        rounds=ROUNDS,
    )


MEASURES = [
    _measure("G1a", "beside 256 idle works", "beside 4", "beside_idle_works", IDLE_WORKS),
    _measure("G1b", "after 100,000 others", "after 10", "after_remembered_calls", REMEMBERED),
    _measure("G1c", "beside 10 MB of state", "beside 1 kB", "beside_state", STATE_BYTES),
]

SCALES: dict[str, tuple[Callable[[int], float], tuple[int, ...]]] = {
    "idle works": (partial(figure_at, "beside_idle_works"), IDLE_WORKS),
    "remembered calls": (partial(figure_at, "after_remembered_calls"), REMEMBERED),
    "bytes of state": (partial(figure_at, "beside_state"), STATE_BYTES),
}


def draw(figures: dict[str, dict[int, list[float]]], file: str) -> None:
    """Draw all scales side by side."""
    from matplotlib import pyplot  # noqa: PLC0415 - only who draws needs it: pip install matplotlib

    _, panels = pyplot.subplots(1, len(figures), figsize=(11, 3.2), sharey=True)
    for panel, (name, by_size) in zip(panels, figures.items(), strict=True):
        middles = [statistics.median(found) for found in by_size.values()]
        panel.plot(list(by_size), middles, marker="o")
        panel.fill_between(
            list(by_size), [min(f) for f in by_size.values()], [max(f) for f in by_size.values()], alpha=0.2
        )
        panel.set(xscale="log", xlabel=name, ylim=(0, None))
        panel.grid(alpha=0.3)
    panels[0].set_ylabel("µs per call")
    pyplot.tight_layout()
    pyplot.savefig(file)


def main(arguments: list[str]) -> None:
    """Take all figures, print them as a table, and draw them if a file is named."""
    figures: dict[str, dict[int, list[float]]] = {name: {} for name in SCALES}
    for _ in range(ROUNDS):
        for name, (figure, sizes) in SCALES.items():
            for one in sizes:
                figures[name].setdefault(one, []).append(figure(one))
    table = Table("beside", "size", "µs per call: median (min to max)", title="G1: what a call costs")
    for name, by_size in figures.items():
        for one, found in by_size.items():
            table.add_row(
                name, f"{one:,}", f"{statistics.median(found):.0f} ({min(found):.0f} to {max(found):.0f})"
            )
        table.add_section()
    Console(width=100).print(table)
    if arguments:
        draw(figures, arguments[0])


if __name__ == "__main__":
    main(sys.argv[1:])
