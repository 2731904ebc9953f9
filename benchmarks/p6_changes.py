"""P6: ten thousand assignments in a loop, until the flow sees the last one."""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from multiprocessing.connection import Connection

from benchmarks.measure import Measure
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow, LightningWork

CHANGES = 10_000


class Counter(LightningWork):
    """Counts as fast as possible."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.began = 0.0
        self.count = 0

    def run(self) -> None:
        """Assign each number."""
        self.began = time.monotonic()
        for number in range(1, CHANGES + 1):
            self.count = number


class Root(LightningFlow):
    """Waits for the last number."""

    def __init__(self) -> None:
        super().__init__()
        self.counter = Counter()

    def run(self) -> None:
        """Print the time when the last number has arrived."""
        self.counter.run()
        if self.counter.count == CHANGES:
            print((time.monotonic() - self.counter.began) * 1e3)
            self.stop()
        assert not self.counter.has_succeeded, "the last value was lost"


def ours() -> None:
    """Print the milliseconds from the first assignment to the pass that sees the last."""
    LightningApp(Root()).run()


def count(connection: Connection) -> None:
    """Send each number."""
    connection.send(time.monotonic())
    for number in range(1, CHANGES + 1):
        connection.send((number,))


def pipe() -> None:
    """Print the milliseconds for the same number of messages through the standard library's pipe."""
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=count, args=(sender,))
    process.start()
    began = receiver.recv()
    while receiver.recv() != (CHANGES,):
        pass
    print((time.monotonic() - began) * 1e3)
    process.join()


MEASURES = [
    Measure(
        name="P6",
        what="10,000 assignments in a loop, last value seen",
        limit_name="10,000 pipe messages",
        unit="ms",
        goal=0.3,
        ours=partial(figure_of, __name__, "ours"),
        limit=partial(figure_of, __name__, "pipe"),
    )
]
