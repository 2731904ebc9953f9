"""P5: from an assignment in a work to the pass of the flow that sees it."""

from __future__ import annotations

import multiprocessing
import os
import statistics
import time
from functools import partial
from multiprocessing.connection import Connection

from benchmarks.measure import Measure
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow, LightningWork

CHANGES = 1000
GO_ON = "go_on"  # a named pipe: the receiver asks for the next change when it has nothing else to do


class Sender(LightningWork):
    """Assigns the time repeatedly."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.sent = 0.0

    def run(self) -> None:
        """Send a change whenever the flow asks for one."""
        with open(GO_ON, "rb", buffering=0) as asked:
            while asked.read(1):
                self.sent = time.monotonic()


class Root(LightningFlow):
    """Computes the age of each change when it sees it."""

    def __init__(self) -> None:
        super().__init__()
        self.sender = Sender()
        self._seen = 0.0
        self._asked = 0
        self._ages: list[float] = []
        self._go_on: int | None = None

    def run(self) -> None:
        """Store the age of a change, and ask for the next one."""
        self.sender.run()
        if self.sender.sent != self._seen:
            self._ages.append(time.monotonic() - self.sender.sent)
            self._seen = self.sender.sent
        if self.sender.is_running and self._go_on is None:
            # Opened for reading too, because then open() does not block.
            self._go_on = os.open(GO_ON, os.O_RDWR)
        if self._go_on is not None and self._asked == len(self._ages) < CHANGES:
            os.write(self._go_on, b"x")
            self._asked += 1
        if len(self._ages) == CHANGES and self._go_on is not None:
            os.close(self._go_on)
            print(statistics.median(self._ages) * 1e6)
            self.stop()


def ours() -> None:
    """Print the microseconds from the assignment to the flow."""
    os.mkfifo(GO_ON)
    LightningApp(Root()).run()


def send(connection: Connection) -> None:
    """Send the time for each request."""
    with open(GO_ON, "rb", buffering=0) as asked:
        while asked.read(1):
            connection.send(time.monotonic())


def pipe() -> None:
    """Print the microseconds of one message through the standard library's pipe."""
    os.mkfifo(GO_ON)
    context = multiprocessing.get_context("spawn")
    receiver, sender = context.Pipe(duplex=False)
    process = context.Process(target=send, args=(sender,))
    process.start()
    ages = []
    with open(GO_ON, "wb", buffering=0) as ask:
        for _ in range(CHANGES):
            ask.write(b"x")
            sent = receiver.recv()
            ages.append(time.monotonic() - sent)
    print(statistics.median(ages) * 1e6)
    process.join()


MEASURES = [
    Measure(
        name="P5",
        what="a change of state seen by the flow",
        limit_name="one-way pipe message",
        unit="µs",
        goal=3.0,
        ours=partial(figure_of, __name__, "ours"),
        limit=partial(figure_of, __name__, "pipe"),
    )
]
