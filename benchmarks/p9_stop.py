"""P9: from `flow.stop()` until 8 busy works have exited and the app has ended."""

from __future__ import annotations

import time
from functools import partial

from benchmarks.busy import NUMBER, Busy
from benchmarks.busy_bare import busy_process
from benchmarks.measure import Measure
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow


class Root(LightningFlow):
    """Stops when all works are busy."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = [Busy() for _ in range(NUMBER)]
        self.stopped_at = 0.0

    def run(self) -> None:
        """Store the time, and stop."""
        for work in self.busy:
            work.run()
        if all(work.pid for work in self.busy):
            self.stopped_at = time.monotonic()
            self.stop()


def ours(start_method: str = "spawn") -> None:
    """Print the milliseconds from `flow.stop()` to the end of `app.run()`."""
    root = Root()
    LightningApp(root).run(start_method=start_method)
    print((time.monotonic() - root.stopped_at) * 1000)


def bare() -> None:
    """Print the milliseconds to terminate and reap the same number of processes of the standard library."""
    processes = [busy_process() for _ in range(NUMBER)]
    began = time.monotonic()
    for process in processes:
        process.terminate()
    for process in processes:
        process.join()
    print((time.monotonic() - began) * 1000)


MEASURES = [
    Measure(
        name=name,
        what=f"stop 8 busy works, all gone, {start_method}",
        limit_name="terminate and join",
        unit="ms",
        goal=goal,
        ours=partial(figure_of, __name__, "ours", start_method),
        limit=partial(figure_of, __name__, "bare"),
        rounds=5,
    )
    for name, start_method, goal in (("P9", "spawn", 3.0), ("P9f", "forkserver", 1.5))
]
