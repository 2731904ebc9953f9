"""Reads the status of one run: from the app while it runs, else from its files."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from threading import Event
from typing import Any, NamedTuple

import psutil

from lightning_lite.engine.history import RunHistory, WorkHistory, read_history
from lightning_lite.errors import CommandError, JournalError, NothingToResume
from lightning_lite.events import ancestors
from lightning_lite.process_places import Place
from lightning_lite.process_usage import Usage, UsageMeter
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.runs.safe_unpickle import unpack_plain
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.work_row import WorkRow, read_progress

#: Seconds over which the CPU use of processes is measured.
_SAMPLE = 0.1

_ANSWER_TIMEOUT = 3.0

#: Seconds by which the start time of a process may be later than the time in its record: the clocks differ.
CLOCK_TOLERANCE = 2.0

#: States to show in place of states that had not ended when the app ended.
_AT_THE_END = {"pending": "lost", "running": "lost", "started": "not started"}


class RunStatus(NamedTuple):
    """The status of one run.

    Attributes:
        run: The run.
        works: Its works, in the order of their names.
        history: The content of its journal; empty if it was not read, or if the journal is empty.
        is_answering: Whether the data are from the app, through its command channel.
        busy: Seconds for which its flow has been busy, or `None` if it waits or that is unknown.
        trouble: The parts that could not be read, and why; "" if all could be read.
    """

    run: RunSummary
    works: list[WorkRow]
    history: RunHistory
    is_answering: bool
    busy: float | None
    trouble: str

    @property
    def flows(self) -> list[str]:
        """Names of its flows and structures that have state or works."""
        works = {work.name for work in self.works}
        found = {"root", *(name for name in self.history.states if name not in works)}
        found.update(parent for name in (*works, *found) for parent in ancestors(name))
        return sorted(found, key=tree_order)


class AppAnswer(NamedTuple):
    """The answer of a running app about itself.

    Attributes:
        works: Its works; `None` if it does not answer.
        busy: As in `RunStatus`.
        trouble: Why it does not answer; "" if it does, or if the app is not running.
    """

    works: list[WorkRow] | None
    busy: float | None
    trouble: str


def read_status(run: RunSummary, *, journal: bool = True, usage: bool = False) -> RunStatus:
    """Return the status of a run.

    Args:
        run: The run.
        journal: Whether to read its journal; it is always read if the app does not answer.
        usage: Whether to measure CPU and memory of its processes, which takes 0.1 seconds.
    """
    answer = ask_app(run)
    is_read = journal or answer.works is None
    history, damage = _read_history(run) if is_read else (RunHistory(), "")
    status = make_status(run, answer, history, damage)
    return status._replace(works=_measure(status.works)) if usage else status


def ask_app(run: RunSummary, timeout: float = _ANSWER_TIMEOUT) -> AppAnswer:
    """Ask a running app for its status.

    Args:
        run: The run; if its app is not running, there is no answer.
        timeout: Seconds to wait for the answer.
    """
    if run.holder is None:
        return AppAnswer(None, None, "")
    try:
        answer = ask(run.path, "status", timeout)
    except CommandError as error:
        return AppAnswer(None, None, str(error))
    return AppAnswer([_row_from_answer(fields) for fields in answer.get("works", ())], answer.get("busy"), "")


def make_status(run: RunSummary, answer: AppAnswer, history: RunHistory, damage: str = "") -> RunStatus:
    """Return the status of a run from the answer of its app and the content of its journal.

    Args:
        run: The run.
        answer: The answer of the app; without one, the journal says what its works do.
        history: The content of the journal.
        damage: Why that is not complete, or "".
    """
    works = answer.works
    if works is None:
        works = [
            row_from_history(run, history, work) for work in history.works.values() if not work.is_detached
        ]
    return RunStatus(
        run,
        sorted(works, key=lambda work: tree_order(work.name)),
        history,
        answer.works is not None,
        answer.busy,
        "; ".join(filter(None, (run.trouble, answer.trouble, damage))),
    )


def describe_work(row: WorkRow, history: RunHistory) -> dict[str, Any]:
    """Return the known details of a work, for JSON."""
    known = history.works.get(row.name)
    return {
        "name": row.name,
        "class": class_name(known.identity if known is not None else None),
        "state": row.state,
        "since": row.since,
        "call": row.call or None,
        "attempt": row.attempt or None,
        "progress": row.progress,
        "pid": row.place.pid if row.place is not None else None,
        "host": row.place.host if row.place is not None else None,
        "cpu": row.cpu,
        "memory": row.memory,
        "message": known.last.message if known is not None else "",
    }


def class_name(identity: tuple[str, str] | None) -> str | None:
    """Return the name of a class with its module (or the path of its script).

    Example:
        >>> class_name(("app", "Train"))
        'app.Train'
    """
    return ".".join(identity) if identity is not None and any(identity) else None


def state_at_the_end(state: str) -> str:
    """Return the state to show for a work that was in `state` when its app ended."""
    return _AT_THE_END.get(state, state)


def _measure(works: Iterable[WorkRow]) -> list[WorkRow]:
    """Return works with CPU and memory of their processes and of all descendants of these.

    Processes on other hosts are not measured. If the process of a work has ended and the busy flow has not
    noticed, the state of the work is `gone`.
    """
    works, meter = list(works), UsageMeter()
    pids = {work.place.pid for work in works if work.place is not None and work.place.is_here()}
    if meter.measure(pids):
        Event().wait(_SAMPLE)
    usage = meter.measure(pids)
    return [add_usage(work, usage) for work in works]


def add_usage(work: WorkRow, usage: Mapping[int, Usage]) -> WorkRow:
    """Return a work with the usage of its process, by process id."""
    if work.place is None or not work.place.is_here():
        return work
    if work.place.pid not in usage:
        return work._replace(state="gone", place=None)
    found = usage[work.place.pid]
    return work._replace(cpu=found.cpu, memory=found.memory)


def tree_order(name: str) -> list[list[tuple[str, int]]]:
    """Return a sort key that sorts components as a tree, and `work_10` after `work_9`.

    Example:
        >>> sorted(["root.a10", "root.a.x", "root.a9", "root.a"], key=tree_order)
        ['root.a', 'root.a.x', 'root.a9', 'root.a10']
    """
    return [
        [("", int(part)) if part.isdecimal() else (part, 0) for part in re.split(r"(\d+)", level)]
        for level in name.split(".")
    ]


def _read_history(run: RunSummary) -> tuple[RunHistory, str]:
    """Return the content of the journal, and "" or the reason why it can't be read."""
    try:
        return read_history(run.path), ""
    except NothingToResume:
        return RunHistory(), ""
    except JournalError as error:
        return RunHistory(), str(error)


def _row_from_answer(fields: Mapping[str, Any]) -> WorkRow:
    known = {name: value for name, value in fields.items() if name in WorkRow._fields}
    place = known.get("place")
    return WorkRow(**{**known, "place": Place(*place) if place else None})


def row_from_history(run: RunSummary, history: RunHistory, work: WorkHistory) -> WorkRow:
    """Return the row of a work from the journal."""
    event = _last_status(work)
    state = event.stage
    if run.state != "running":
        state = state_at_the_end(state)
    call = work.calls[-1] if work.calls and event in work.calls[-1].statuses else None
    return WorkRow(
        work.name,
        state.replace("_", " "),
        call=call.number if call is not None else 0,
        attempt=event.count,
        progress=_read_progress(history.states.get(work.name, {}).get("progress")),
        since=event.timestamp or None,
        place=_find_place(work) if run.state == "running" else None,
    )


def _find_place(work: WorkHistory) -> Place | None:
    """Return the place of the process of a work according to the journal, unless that process has ended."""
    place = work.place
    if place is None or not place.is_here():
        return place
    with suppress(psutil.Error):
        # A younger process only has the same id.
        if psutil.Process(place.pid).create_time() <= work.place_since + CLOCK_TOLERANCE:
            return place
    return None


def _last_status(work: WorkHistory) -> WorkStatus:
    """Return the status of the newest call of a work, or a later status of its process."""
    process = work.statuses[-1] if work.statuses else WorkStatus(WorkStageStatus.NOT_STARTED)
    if not work.calls:
        return process
    call = work.calls[-1]
    last = call.statuses[-1]
    if call.ended and process.timestamp > last.timestamp and process.stage in ("failed", "stopped"):
        return process
    return last._replace(stage=call.stage)


def _read_progress(encoded: bytes | None) -> float | None:
    try:
        value = unpack_plain(encoded or b"")
    except (pickle.UnpicklingError, EOFError):  # there is no value, or it is not plain data
        return None
    return read_progress(value)
