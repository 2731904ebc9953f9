"""G3: a run of 100,000 calls that are all remembered: its journal, its resume, and the command line on it.

The events are those that such a run records; no process of a work is started. A killed run is one that ends
after some calls whose events no compaction has reached.

G3e is a run with a real work: the private memory that the process of the flow has more after 100,000 calls.
Some of it was used by compactions, and is free for further calls.
"""

from __future__ import annotations

import contextlib
import gc
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial

import psutil

from benchmarks.measure import Measure
from benchmarks.p4_call import Echo
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow
from lightning_lite.clock import Moment
from lightning_lite.engine.history import fold_entries
from lightning_lite.engine.recorder import Recorder
from lightning_lite.engine.replay import Replay
from lightning_lite.events import (
    CallAsked,
    CallStatusChanged,
    CallSucceeded,
    ComponentAttached,
    Event,
    RunBegun,
)
from lightning_lite.runs.folder import RunFolder, creating_run
from lightning_lite.runs.journal import Journal
from lightning_lite.status import WorkStatus

CALLS = 100_000
WARM_CALLS = 2_000
RUNS = 100
MIB = 1024 * 1024
IDENTITY = "app.py:Root"


def steps(num_calls: int) -> Iterator[list[Event]]:
    """Yield the events of each step."""
    yield [RunBegun(1.0), ComponentAttached("root.work", 1.0, True, ("app.py", "Work"), {})]
    for number in range(1, num_calls + 1):
        key, moment = f"{number * 0x9E3779B97F4A7C15 % 2**64:016x}", float(number)
        asked = CallAsked("root.work", key, moment, number, pickle.dumps(((number,), {})))
        running = WorkStatus("running", moment, count=1)
        yield [asked, CallStatusChanged("root.work", key, moment, number, running)]
        yield [CallSucceeded("root.work", key, moment, pickle.dumps(number))]


def record(folder: str, num_calls: int = CALLS, *, is_closed: bool = True) -> int:
    """Record a run, and return the largest size of its journal in bytes."""
    journal = Journal.create(folder, IDENTITY)
    recorder, largest = Recorder(journal), 0
    for events in steps(num_calls):
        recorder.record(events, Moment(0.0, 0.0))
        largest = max(largest, journal.size)
    (recorder if is_closed else journal).close()
    return largest


def replay(folder: str) -> Replay:
    """Read the journal of a run as a resume does."""
    journal = Journal.open(folder, IDENTITY)
    with contextlib.closing(journal):
        return Replay("run", fold_entries(journal.entries(), journal.path))


def resume(is_closed: bool) -> None:
    """Print the seconds until a resume knows all calls."""
    folder = os.getcwd()
    record(folder, is_closed=is_closed)
    began = time.perf_counter()
    found = replay(folder)
    print(time.perf_counter() - began)
    assert found.num_completed == CALLS


def size() -> None:
    """Print the MiB that the journal has at most."""
    print(record(os.getcwd()) / MIB)


def size_limit() -> None:
    """Print four times the MiB of the remembered values, and of 16 more."""
    folder = os.getcwd()
    record(folder)
    print(4 * (os.path.getsize(f"{folder}/journal.log") / MIB + 16))


class Calling(LightningFlow):
    """Makes calls that are all remembered, and prints the bytes of private memory that each needs."""

    def __init__(self) -> None:
        super().__init__()
        self.work = Echo()

    def run(self) -> None:
        """Make all calls in one pass."""
        before = 0
        for number in range(WARM_CALLS + CALLS):
            if number == WARM_CALLS:
                before = private_bytes()
            self.work.run(number)
        print((private_bytes() - before) / CALLS)
        self.stop()


def private_bytes() -> int:
    """Return the private memory of this process."""
    gc.collect()
    return int(psutil.Process().memory_full_info().uss)


def memory() -> None:
    """Print the bytes that the flow needs for each remembered call."""
    LightningApp(Calling()).run()


def look(verb: str, num_runs: int) -> None:
    """Print the seconds of a verb of the command line, in a root of killed or, if it is one, closed runs."""
    first, root = "", os.path.abspath("root")
    for _ in range(num_runs):
        with creating_run(root) as runs:
            run = RunFolder.create(root, runs, app="Root", identity=IDENTITY)
        if first:
            os.link(f"{first}/journal.log", f"{run.path}/journal.log")
        else:
            first = run.path
            record(first, is_closed=num_runs == 1)
        run.note_works({"running": 1})
    words = [*verb.split(), "--root", "root"]
    program = [sys.executable, "-c", f"from lightning_lite.cli.main import main; main({words!r})"]
    began = time.perf_counter()
    done = subprocess.run(program, capture_output=True, check=False)
    seconds = time.perf_counter() - began
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) >= num_runs
    print(seconds)


def goal(figure: float) -> float:
    """Return the goal itself: it is absolute."""
    return figure


def _measure(name: str, what: str, unit: str, limit: float, function: str, *arguments: object) -> Measure:
    return Measure(
        name=name,
        what=what,
        limit_name="the goal",
        unit=unit,
        goal=1.0,
        ours=partial(figure_of, __name__, function, *arguments),
        limit=partial(goal, limit),
        rounds=3,
    )


MEASURES = [
    _measure("G3a", "resume of 100,000 calls, after an end in order", "s", 1.0, "resume", True),
    _measure("G3b", "the same, after a kill", "s", 1.0, "resume", False),
    _measure("G3c", "ps of 100 such runs that were killed", "s", 1.0, "look", "ps --all", RUNS),
    _measure("G3d", "status of one such run", "s", 0.5, "look", "status", 1),
    _measure(
        "G3e", "private memory of a live flow for each of 100,000 remembered calls", "B", 1000.0, "memory"
    ),
    Measure(
        name="G3f",
        what="largest journal of 100,000 calls",
        limit_name="4 times (remembered + 16 MiB)",
        unit="MiB",
        goal=1.0,
        ours=partial(figure_of, __name__, "size"),
        limit=partial(figure_of, __name__, "size_limit"),
        rounds=1,
    ),
]
