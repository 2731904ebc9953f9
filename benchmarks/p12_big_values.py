"""P12: an array of 256 MB from one work through the flow to another work.

    work ──answer──▶ flow ──argument──▶ other work

P12 is the time from the `return` of the first work to the end of the second work's `run`, which reads one
number of each page. P12m is the private memory that the flow has more after that.
"""

from __future__ import annotations

import gc
import mmap
import os
import sys
from functools import partial
from typing import Any

import numpy
import psutil

from benchmarks.measure import Measure
from benchmarks.p12_value import make, take
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow, LightningWork

#: Bytes of one write of the limit: one write of all took up to four times as long here.
_PIECE = 1024 * 1024


class Maker(LightningWork):
    """Makes the array."""

    def run(self) -> tuple[float, Any]:
        """Return the current time in seconds, and the array."""
        return make()


class Taker(LightningWork):
    """Reads the array."""

    def run(self, value: tuple[float, Any]) -> float:
        """Return the seconds since the array was made."""
        return take(value)


class Root(LightningFlow):
    """Passes the array from one work to the other, which are both up before."""

    def __init__(self, figure: str) -> None:
        super().__init__()
        self.maker = Maker(start_with_flow=True)
        self.taker = Taker(start_with_flow=True)
        self._figure = figure
        self._before: float | None = None

    def run(self) -> None:
        """Print the figure."""
        if self.maker.status.stage == "not_started" or self.taker.status.stage == "not_started":
            return
        if self._before is None:
            self._before = private_memory()
        seconds = self.taker.run(self.maker.run())
        print(seconds if self._figure == "seconds" else private_memory() - self._before)
        self.stop()


def private_memory() -> float:
    """Return the private memory of this process, in MiB."""
    gc.collect()
    return float(psutil.Process().memory_full_info().uss) / (1 << 20)


def ours(figure: str, start_method: str) -> None:
    """Print the seconds, or the MiB of the flow."""
    LightningApp(Root(figure)).run(start_method=start_method)


def limit() -> None:
    """Print the seconds for one write and one mapping of a file, on the disk of the app's files."""
    began, array = make()
    fd = os.open("value", os.O_RDWR | os.O_CREAT | os.O_EXCL)
    rest = memoryview(array).cast("B")
    while rest:
        rest = rest[os.write(fd, rest[:_PIECE]) :]
    mapped = mmap.mmap(fd, array.nbytes, mmap.MAP_SHARED, mmap.PROT_READ)
    os.close(fd)
    print(take((began, numpy.frombuffer(mapped, array.dtype))))


if __name__ == "__main__":
    ours(*sys.argv[1:])

MEASURES = [
    Measure(
        name="P12",
        what="256 MB from work to work through the flow",
        limit_name="one write and one mapping",
        unit="s",
        goal=1.5,
        lowest=0.9,  # it makes this write and this mapping, too
        ours=partial(figure_of, __name__, "ours", "seconds", "spawn"),
        limit=partial(figure_of, __name__, "limit"),
        peer="big_value",
    ),
    Measure(
        name="P12m",
        what="private memory of the flow for it",
        limit_name="nothing",
        unit="MiB",
        goal=16,
        ours=partial(figure_of, __name__, "ours", "memory", "spawn"),
        limit=float,
        rounds=3,
        difference=True,
    ),
]
