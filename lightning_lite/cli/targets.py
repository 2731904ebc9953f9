"""Finds the run and the works that a user names on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from lightning_lite.cli.options import BadInput, check_root
from lightning_lite.errors import CommandError
from lightning_lite.monitor.run_status import read_status
from lightning_lite.process_places import Place
from lightning_lite.runs.catalog import (
    LINK_TROUBLE,
    RunSummary,
    list_named,
    list_runs,
    read_details,
    read_run,
    runs_folder,
)

#: Maximum number of names that an error lists.
_MAX_NAMES = 5

#: The beginning of the id of a run, a date; no work has such a name.
_DATE = re.compile(r"\d{6,}")


def find_run(root: str, text: str | None, *, running: bool = False) -> RunSummary:
    """Return the run that the user named.

    Args:
        root: The root folder.
        text: Its id, its name or a part of its id; `None` for the run that is still running, or else the
            latest.
        running: Whether the run must be still running.

    Raises:
        BadInput: No run matches, several match, its folder is a link, or the run has ended.
    """
    run = _choose(root) if text is None else _find(root, text, running)
    if os.path.islink(run.path):
        raise BadInput(f"run {run.id} can't be read from {run.path!r}: {LINK_TROUBLE}.")
    if running and run.state != "running":
        if run.trouble:
            raise BadInput(f"run {run.id} does not seem to be running: {run.trouble}.")
        raise BadInput(f"run {run.id} is not running: it {_describe_end(run)}.")
    return run


def find_target(
    root: str, words: Sequence[str], *, running: bool = False
) -> tuple[RunSummary, tuple[str, ...]]:
    """Return the run that the first word names, if it is a run, and the other words, which name works.

    Raises:
        BadInput: No run matches, several match, the run has ended and `running` is true, or the first word is
            the name of a run and of a work of another run.
    """
    if words and list_named(runs_folder(root), words[0]):
        _check_is_no_work(root, words[0])
    if words and (_matching(root, words[0]) or _DATE.match(words[0])):
        return find_run(root, words[0], running=running), tuple(words[1:])
    return find_run(root, None, running=running), tuple(words)


def _check_is_no_work(root: str, name: str) -> None:
    """Refuse the name of a run if it also means a work of the run that a verb takes without a RUN.

    Raises:
        BadInput: It does.
    """
    try:
        run = _choose(root)
    except BadInput:  # several runs go on: without a RUN, a verb takes none
        return
    works = [work.name for work in read_status(run, journal=False).works]
    if run.name != name and any(work.endswith(f".{name}") for work in works):
        raise BadInput(
            f"{name!r} is the name of a run, and of a work of run {run.id}: type the id of the run, or the "
            "full name of the work."
        )


def find_work(run: str, text: str, names: Collection[str]) -> str:
    """Return the full name of the work that the user named.

    Args:
        run: Id of the run, for the message.
        text: The name of the work, or the end of it.
        names: The names of all works.

    Raises:
        BadInput: No work matches, or several match.
    """
    for name in (text, f"root.{text}"):
        if name in names:
            return name
    matching = [name for name in names if name.endswith(f".{text}")]
    if len(matching) == 1:
        return matching[0]
    if matching:
        raise BadInput(f"{text!r} matches several works of run {run}: {_list(matching)}.")
    by_end = {name.rpartition(".")[2]: name for name in names}
    similar = get_close_matches(text, [*names, *by_end], n=_MAX_NAMES, cutoff=0.5)
    if similar:
        hint = f"did you mean {_list(dict.fromkeys(by_end.get(name, name) for name in similar))}?"
    else:
        hint = f"there are {_list(sorted(names))}." if names else "it has none."
    raise BadInput(f"there is no work {text!r} in run {run}: {hint}")


def find_works(root: str, words: Sequence[str]) -> tuple[RunSummary, dict[str, Place | None]]:
    """Return the running run and the works that the user named, with the places of their processes.

    Raises:
        BadInput: There is no such run or work, or the run has ended.
        CommandError: The run does not answer.
    """
    run, texts = find_target(root, words, running=True)
    if not texts:
        return run, {}
    status = read_status(run, journal=False)
    if not status.is_answering:
        raise CommandError(status.trouble)
    places = {work.name: work.place for work in status.works}
    return run, {name: places[name] for name in (find_work(run.id, text, places) for text in texts)}


def _find(root: str, text: str, running: bool) -> RunSummary:
    runs = runs_folder(check_root(root))
    matching = [read_run(os.path.join(runs, run_id)) for run_id in _matching(root, text)]
    if len(matching) > 1 and running:
        matching = [run for run in matching if run.state == "running"] or matching
    if len(matching) == 1:
        return matching[0]
    if matching:
        which = _list(run.id for run in reversed(matching))
        if matching[0].name == text:
            raise BadInput(f"{len(matching)} runs have the name {text!r}: {which}; type the id of one.")
        raise BadInput(f"{text!r} matches {len(matching)} runs: {which}; type more of the id.")
    ids = list_runs(runs)
    by_end = {name.rpartition("-")[2]: name for name in ids}
    similar = get_close_matches(text, ids, n=3, cutoff=0.5)
    similar = similar or [by_end[end] for end in get_close_matches(text, by_end, n=3, cutoff=0.5)]
    names = {str(name) for run_id in ids if (name := read_details(os.path.join(runs, run_id)).get("name"))}
    similar = get_close_matches(text, names, n=3, cutoff=0.6) or similar
    hint = f"did you mean {_list(similar)}?" if similar else "`lightning-lite ps` lists them."
    raise BadInput(f"there is no run {text!r} in {root}: {hint}")


def _choose(root: str) -> RunSummary:
    runs = runs_folder(check_root(root))
    newest_first = [read_run(os.path.join(runs, name)) for name in reversed(list_runs(runs))]
    if not newest_first:
        raise BadInput(f"there is no run in {root}.")
    running = [run for run in newest_first if run.state == "running"]
    if len(running) > 1:
        raise BadInput(
            f"{len(running)} runs are still running; name one of them: {list_with_names(running)}."
        )
    return (running or newest_first)[0]


def find_running(root: str) -> list[RunSummary]:
    """Return the runs that are still running, newest first.

    Raises:
        BadInput: There is no root.
    """
    runs = runs_folder(check_root(root))
    found = (read_run(os.path.join(runs, name)) for name in reversed(list_runs(runs)))
    return [run for run in found if run.state == "running"]


def list_with_names(runs: Iterable[RunSummary]) -> str:
    """Return the ids of runs, with their names and the names of their apps, in words."""
    return _list(f"{run.id} ({', '.join(filter(None, (run.name, run.app)))})" for run in runs)


def _matching(root: str, text: str) -> list[str]:
    """Return the id that equals `text`; else those of the runs with this name; else those with this part."""
    runs = runs_folder(root)
    ids = list_runs(runs)
    if text in ids:
        return [text]
    return list_named(runs, text) or [
        name for name in ids if text and (name.startswith(text) or name.endswith(text))
    ]


def _describe_end(run: RunSummary) -> str:
    known = {"died": "has died", "failed": "has failed", "unknown": "has no record of its end"}
    return known.get(run.state, f"was {run.state}")


def _list(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _MAX_NAMES} more" if len(found) > _MAX_NAMES else ""
    return ", ".join(found[:_MAX_NAMES]) + more
