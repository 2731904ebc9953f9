"""Reads the state of one run: from its answers while it runs, else from its files."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from threading import Event
from typing import Any, NamedTuple

import psutil

from lightning_lite.engine.history import RunHistory, WorkHistory, read_history
from lightning_lite.errors import CommandError, JournalError, NothingToResume
from lightning_lite.places import Place
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.runs.safe_unpickle import unpack_plain
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.ui.live_table import WorkRow, read_progress

#: Seconds over which the use of the CPU is measured.
_SAMPLE = 0.1

_ANSWER_TIMEOUT = 3.0

#: Seconds that the time of the start of a process may be later than that of its record: the clocks differ.
SLACK = 2.0

#: What is said of what was under way when the app ended.
_AT_THE_END = {"pending": "lost", "running": "lost", "started": "not started"}


class Sight(NamedTuple):
    """The state of one run.

    Attributes:
        run: The run.
        works: Its works, in the order of their names.
        history: What its journal says; empty if it was not asked for, or if the journal is empty.
        is_answering: Whether the app itself has said what it is doing.
        busy: For how many seconds its flow has been busy, `None` if it waits or that is not known.
        trouble: What could not be looked at, and why; "" if all could.
    """

    run: RunSummary
    works: list[WorkRow]
    history: RunHistory
    is_answering: bool
    busy: float | None
    trouble: str

    @property
    def flows(self) -> list[str]:
        """Names of its flows and structures, as far as they have state or works."""
        works = {work.name for work in self.works}
        found = {"root", *(name for name in self.history.states if name not in works)}
        found.update(above for name in (*works, *found) for above in _above(name))
        return sorted(found, key=natural)


def look(run: RunSummary, *, journal: bool = True, usage: bool = False) -> Sight:
    """Look at a run.

    Args:
        run: Which one.
        journal: Whether to read its journal; it is read all the same if the app does not answer.
        usage: Whether to measure what its processes use, which takes a tenth of a second.
    """
    answer, silence = _ask(run)
    history, damage = _read(run) if journal or not answer else (RunHistory(), "")
    if answer:
        works = [_to_row(fields) for fields in answer.get("works", ())]
    else:
        works = [_see(run, history, work) for work in history.works.values() if not work.is_detached]
    if usage:
        works = measure(works)
    return Sight(
        run,
        sorted(works, key=lambda work: natural(work.name)),
        history,
        bool(answer),
        answer.get("busy"),
        "; ".join(filter(None, (silence, damage))),
    )


def state_at_the_end(state: str) -> str:
    """Return what is said of a work that was in this state when its app ended."""
    return _AT_THE_END.get(state, state)


def measure(works: Iterable[WorkRow]) -> list[WorkRow]:
    """Return works with what their processes use, and all that these have started.

    Processes on other hosts are not measured. A work is `gone` if its process has ended and the busy flow
    does not know it yet.
    """
    works = list(works)
    families: dict[int, list[psutil.Process]] = {}
    for pid in {work.place.pid for work in works if work.place is not None and work.place.is_here()}:
        with suppress(psutil.Error):
            process = psutil.Process(pid)
            if process.status() != psutil.STATUS_ZOMBIE:
                families[pid] = [process, *process.children(recursive=True)]
    for family in families.values():
        _sum_up(family)  # from here on the CPU is counted
    if families:
        Event().wait(_SAMPLE)
    usage = {pid: _sum_up(family) for pid, family in families.items()}
    return [_complete(work, usage) for work in works]


def _complete(work: WorkRow, usage: Mapping[int, tuple[float, int]]) -> WorkRow:
    if work.place is None or not work.place.is_here():
        return work
    if work.place.pid not in usage:
        return work._replace(state="gone", place=None)
    cpu, memory = usage[work.place.pid]
    return work._replace(cpu=cpu, memory=memory)


def natural(name: str) -> list[list[tuple[str, int]]]:
    """Return what sorts components as a tree, and `work_10` behind `work_9`.

    Example:
        >>> sorted(["root.a10", "root.a.x", "root.a9", "root.a"], key=natural)
        ['root.a', 'root.a.x', 'root.a9', 'root.a10']
    """
    return [
        [("", int(part)) if part.isdecimal() else (part, 0) for part in re.split(r"(\d+)", level)]
        for level in name.split(".")
    ]


def _sum_up(family: list[psutil.Process]) -> tuple[float, int]:
    """Return what part of one CPU some processes have used since the last time, and their memory in bytes."""
    cpu, memory = 0.0, 0
    for process in family:
        with suppress(psutil.Error):
            cpu += process.cpu_percent() / 100
            memory += process.memory_info().rss
    return cpu, memory


def _ask(run: RunSummary) -> tuple[dict[str, Any], str]:
    """Return what the app itself says, if it goes on, or why it says nothing."""
    if run.holder is None:
        return {}, ""
    try:
        return ask(run.path, "status", _ANSWER_TIMEOUT), ""
    except CommandError as error:
        return {}, str(error)


def _read(run: RunSummary) -> tuple[RunHistory, str]:
    """Return what the journal says, or why it says nothing."""
    try:
        return read_history(run.path), ""
    except NothingToResume:
        return RunHistory(), ""
    except JournalError as error:
        return RunHistory(), str(error)


def _to_row(fields: Mapping[str, Any]) -> WorkRow:
    known = {name: value for name, value in fields.items() if name in WorkRow._fields}
    place = known.get("place")
    return WorkRow(**{**known, "place": Place(*place) if place else None})


def _see(run: RunSummary, history: RunHistory, work: WorkHistory) -> WorkRow:
    event = _last(work)
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
    """Return the place of the process of a work by the journal, unless it is known to be over."""
    place = work.place
    if place is None or not place.is_here():
        return place
    with suppress(psutil.Error):
        # A younger process has only the same number.
        if psutil.Process(place.pid).create_time() <= work.place_since + SLACK:
            return place
    return None


def _last(work: WorkHistory) -> WorkStatus:
    """Return what the status of a work is about: its newest call, unless its process says more."""
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
    except (pickle.UnpicklingError, EOFError):  # there is none, or it is no number
        return None
    return read_progress(value)


def _above(name: str) -> Iterator[str]:
    """Yield the names of what a component stands in."""
    while name := name.rpartition(".")[0]:
        yield name
