"""P4: one call, from the line of the flow to its next line.

P4n is the same without a journal: a journal that writes nothing replaces it. The time to create the records
is still included.
"""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from unittest import mock

from benchmarks.measure import Measure
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.app import resume
from lightning_lite.engine.history import read_history
from lightning_lite.runs.journal import Journal

CALLS = 3000


class Echo(LightningWork):
    """Returns its argument."""

    def run(self, number: int) -> int:
        """Return `number`."""
        return number


class Root(LightningFlow):
    """Asks for call after call; the first one, which waits for the process, does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.echo = Echo()
        self._number = 0
        self._began = 0.0

    def run(self) -> None:
        """Continue with the call that the last pass asked for."""
        while self._number <= CALLS:
            assert self.echo.run(self._number) == self._number
            self._began = self._began or time.monotonic()
            self._number += 1
        print((time.monotonic() - self._began) / CALLS * 1e6)
        self.stop()


def ours() -> None:
    """Print the microseconds of one call."""
    LightningApp(Root()).run()


class NoJournal(Journal):
    """A journal that discards all entries."""

    def write(self, entry: bytes) -> int:
        """Do nothing: no entry is kept."""
        return 0


def ours_without_journal() -> None:
    """Print the microseconds of one call that is not recorded."""
    with mock.patch.object(resume, "Journal", NoJournal):
        ours()
    (run,) = Path(".lightning_lite/runs").glob("*/")
    assert not read_history(str(run)).works, "a journal was written"


def echo(connection: Connection) -> None:
    """Send each message back, until the other side is closed."""
    try:
        while True:
            connection.send(connection.recv())
    except EOFError:
        return


def pipe() -> None:
    """Print the microseconds of one round trip through the standard library's pipe."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=echo, args=(there,))
    process.start()
    there.close()
    here.send((0,))
    here.recv()
    began = time.monotonic()
    for number in range(CALLS):
        here.send((number,))
        here.recv()
    print((time.monotonic() - began) / CALLS * 1e6)
    here.close()
    process.join()


MEASURES = [
    Measure(
        name="P4",
        what="one call with the journal: flow, run, answer, next line of the flow",
        limit_name="pipe round trip",
        unit="µs",
        goal=2.5,
        ours=partial(figure_of, __name__, "ours"),
        limit=partial(figure_of, __name__, "pipe"),
        rounds=5,
        peer="call",
    ),
    Measure(
        name="P4n",
        what="one call, the journal replaced by one that writes nothing",
        limit_name="pipe round trip",
        unit="µs",
        goal=1.5,
        ours=partial(figure_of, __name__, "ours_without_journal"),
        limit=partial(figure_of, __name__, "pipe"),
    ),
]
