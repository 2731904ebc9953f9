"""P1: from `app.run()` to the first line of the first work's `run`, in a spawned process."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.measure import Measure
from benchmarks.p1_body import Body
from benchmarks.programs import figure_of, figure_of_script
from lightning_lite import LightningApp, LightningFlow, LightningWork


class ScriptBody(LightningWork):
    """The same as `Body`, but of this file, which runs as a script: the class is sent by value."""

    def run(self) -> float:
        """Return the time of the monotonic clock, which is the same in all processes."""
        return time.monotonic()


class Root(LightningFlow):
    """Asks for one call."""

    def __init__(self, body: LightningWork) -> None:
        super().__init__()
        self.body = body
        self.entered = 0.0

    def run(self) -> None:
        """Store the time and stop."""
        self.entered = self.body.run()
        self.stop()


def ours(body: type[LightningWork] = Body) -> None:
    """Print the seconds from `app.run()` to the body."""
    root = Root(body())
    app = LightningApp(root)
    began = time.monotonic()
    app.run()
    print(root.entered - began)


if __name__ == "__main__":
    ours(ScriptBody)

MEASURES = [
    Measure(
        name="P1a",
        what="app.run() to the body of the first run, importable class",
        limit_name="multiprocessing, spawn",
        unit="s",
        goal=0.5,
        ours=partial(figure_of, __name__, "ours"),
        limit=partial(figure_of, "benchmarks.p1_bare", "bare"),
        rounds=5,
        peer="body",
    ),
    Measure(
        name="P1c",
        what="app.run() to the body of the first run, class of a script",
        limit_name="multiprocessing, spawn",
        unit="s",
        goal=1.0,
        ours=partial(figure_of_script, __file__),
        limit=partial(figure_of, "benchmarks.p1_bare", "bare"),
    ),
]
