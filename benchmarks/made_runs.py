"""Makes runs that are as big as the page has to show them: their journals, logs and folders, without any app.

The events are those that such a run records, written by the recorder. Tests use these runs, too.
"""

from __future__ import annotations

import os
import pickle
import time
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from heapq import merge
from itertools import chain, islice
from typing import NamedTuple

from lightning_lite.clock import Moment
from lightning_lite.engine.recorder import Recorder
from lightning_lite.events import (
    CallAsked,
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    ComponentAttached,
    Event,
    ProcessStarted,
    RunBegun,
    StateReported,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.process_places import Place
from lightning_lite.runners.output.line_times import TimesWriter
from lightning_lite.runs.folder import RunFolder, creating_run
from lightning_lite.runs.journal import Journal
from lightning_lite.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.values.codec import encode

IDENTITY = "app.py:Search"

#: Steps in one entry of a journal: a run with many works has many reports in a step.
_STEPS = 20

#: Lines of a log that are written in one piece.
_LINES = 1000

_TRACEBACK = (
    'Traceback (most recent call last):\n  File "/home/anna/app.py", line 12, in run\n'
    '    raise ValueError("the shard is empty")\nValueError: the shard is empty\n'
)


class RunShape(NamedTuple):
    """How big a run is.

    Attributes:
        works: Number of its works; each runs its calls one after the other.
        calls: Number of calls of all works.
        seconds: Duration of the run.
        failing: Each n-th call of the run fails at its first attempt, and each second one of these for good.
        is_ended: Whether the run has ended; else its process has died.
    """

    works: int = 3
    calls: int = 30
    seconds: float = 60.0
    failing: int = 97
    is_ended: bool = True


#: A small run, of which a root has many.
SMALL = RunShape()

#: The run that the page has to show within half a second.
BIG = RunShape(works=300, calls=100_000, seconds=3600.0)


def make_run(root: str, shape: RunShape = SMALL, *, app: str = "Search", began: float | None = None) -> str:
    """Make the folder of a run with its journal, and return its absolute path.

    Args:
        root: Absolute folder that holds everything.
        shape: How big it is.
        app: Name of the app.
        began: When it began, in seconds since 1970; by default it ends now.
    """
    began = time.time() - shape.seconds if began is None else began
    with creating_run(root) as runs:
        run = RunFolder.create(
            root, runs, app=app, identity=IDENTITY, command=["python", "app.py"], tags=["made"]
        )
    # Each call stays in the history, also beyond the number that a compaction keeps by default.
    recorder = Recorder(Journal.create(run.path, IDENTITY), history=shape.calls)
    with closing(recorder):
        found = steps(shape, began)
        while several := list(chain.from_iterable(islice(found, _STEPS))):
            recorder.record(several, Moment(0.0, 0.0))
    if shape.is_ended:
        run.note_end("stopped", {WorkStageStatus.SUCCEEDED: shape.works})
    else:
        run.note_works({WorkStageStatus.RUNNING: shape.works})
    return run.path


def make_root(root: str, runs: int, shape: RunShape = SMALL) -> list[str]:
    """Make runs of several apps in a root, every tenth one died; return their paths."""
    return [
        make_run(root, shape._replace(is_ended=number % 10 != 0), app=f"Search{number % 5}")
        for number in range(runs)
    ]


def make_log(
    run: str, work: str, lines: int, *, began: float | None = None, seconds: float = 3600.0, needle: str = ""
) -> str:
    """Write the log of a work with the times of its lines, and return its path.

    Args:
        run: Absolute path of the folder of the run.
        work: Full name of the work.
        lines: Number of lines; about 55 bytes each, every fiftieth with colours.
        began: Time of the first line, in seconds since 1970; by default the last one is now.
        seconds: Time between the first and the last line.
        needle: Text of one line, a hundredth from the beginning.
    """
    began = time.time() - seconds if began is None else began
    path = os.path.join(run, "logs", f"{work}.log")
    moment = began
    with open(path, "wb") as file, closing(TimesWriter(path, lambda: moment)) as times:
        for first in range(0, lines, _LINES):
            moment = began + seconds * first / lines
            times.note(file.tell())
            file.write(b"".join(_line(number) for number in range(first, min(first + _LINES, lines))))
            if needle and first <= lines // 100 < first + _LINES:
                file.write(f"{needle}\n".encode())
    return path


def steps(shape: RunShape, began: float) -> Iterator[list[Event]]:
    """Yield the events of each step of a run, in the order of their times."""
    works = [f"root.works.{number}" for number in range(shape.works)]
    yield [
        RunBegun(began),
        ComponentAttached("root", began, False, ("app.py", "Search"), {"best": encode(None, "")}),
    ]
    for work in works:
        state = {"loss": encode(None, ""), "progress": encode(0.0, "")}
        yield [
            ComponentAttached(work, began, True, ("app.py", "Train"), state),
            ProcessStarted(work, began, Place.of(os.getpid())),
            WorkStatusChanged(work, began, WorkStatus(WorkStageStatus.STARTED, began)),
        ]
    by_time = merge(
        *(_calls(work, place, shape, began) for place, work in enumerate(works)), key=lambda step: step[0]
    )
    for _, events in by_time:
        yield events


def _calls(work: str, place: int, shape: RunShape, began: float) -> Iterator[tuple[float, list[Event]]]:
    """Yield the steps of one work with their times: its calls fill the time of the run."""
    count = len(range(place, shape.calls, shape.works))
    length = shape.seconds / max(count, 1)
    for index in range(count):
        number, total = index + 1, index * shape.works + place + 1
        asked = began + index * length
        begins, ends = asked + 0.1 * length, asked + 0.9 * length
        key = f"{total * 0x9E3779B97F4A7C15 % 2**64:016x}"
        arguments = pickle.dumps(((total,), {"rate": 0.1}))

        status = partial(_status, work, key, number)
        yield asked, [CallAsked(work, key, asked, number, arguments)]
        yield begins, [status(WorkStageStatus.RUNNING, begins, 1)]
        if total % shape.failing == 0:
            failure = (
                WorkFailureReasons.USER_EXCEPTION,
                f"ValueError: the shard is empty in {work}.run({total}, rate=0.1)",
                _TRACEBACK,
            )
            middle = (begins + ends) / 2
            yield middle, [status(WorkStageStatus.FAILED, middle, 1, *failure)]
            yield middle, [status(WorkStageStatus.RUNNING, middle, 2)]
            if total // shape.failing % 2:
                failed = status(WorkStageStatus.FAILED, ends, 2, *failure)
                yield ends, [failed, CallFailed(work, key, ends, Failure(*failure))]
                continue
        values = {"loss": encode(1 / number, ""), "progress": encode(number / count, "")}
        yield (
            ends,
            [StateReported(work, ends, values), CallSucceeded(work, key, ends, pickle.dumps(1 / number))],
        )


def _status(
    work: str, key: str, number: int, stage: str, moment: float, attempt: int, *failure: str
) -> CallStatusChanged:
    reason, message, traceback = failure or (None, "", "")
    status = WorkStatus(stage, moment, reason, message, attempt, traceback)
    return CallStatusChanged(work, key, moment, number, status)


def _line(number: int) -> bytes:
    if number % 50:
        return b"step %d: loss %.4f, 12 shards of data are left\n" % (number, 1 / (1 + number % 1000))
    # As `text.harmless` stores them: an escape sequence is text.
    return b"\\x1b[32mstep %d\\x1b[0m: the loss is lower than ever\n" % number
