"""Finds the run and the works that a user names on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Collection, Iterable, Sequence
from difflib import get_close_matches

from lightning_lite.cli.options import BadInput, check_root
from lightning_lite.errors import CommandError, ComponentError
from lightning_lite.monitor.run_status import read_status
from lightning_lite.process_places import Place
from lightning_lite.runs.catalog import (
    LINK_TROUBLE,
    START_TROUBLE,
    RunSummary,
    list_named,
    list_runs,
    read_details,
    read_run,
    runs_folder,
)
from lightning_lite.work_lookup import find_work_name, list_names

#: The beginning of the id of a run, a date; no work has such a name.
_DATE = re.compile(r"\d{6,}")

#: How similar an id that is suggested must be to the text, from 0 to 1. Ids of one year share a third of
#: their characters, so two unrelated ones reach 0.7.
_ID_CUTOFF = 0.75


def find_run(root: str, text: str | None, *, running: bool = False) -> RunSummary:
    """Return the run that the user named.

    Args:
        root: The root folder.
        text: Its id, its name or a part of its id; `None` for the run that is still running, or else the
            latest whose start was not cut short.
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


def read_work_names(run: RunSummary) -> list[str]:
    """Return the names of the works of a run."""
    return [work.name for work in read_status(run, journal=False).works]


def find_target(
    root: str,
    words: Sequence[str],
    *,
    running: bool = False,
    read_names: Callable[[RunSummary], Iterable[str]] = read_work_names,
    kind: str = "a work",
) -> tuple[RunSummary, tuple[str, ...]]:
    """Return the run that the first word names, if it is a run, and the other words, which name works.

    Args:
        root: The root folder.
        words: The words of the user.
        running: Whether the run must be still running.
        read_names: Returns the names in a run that the other words may mean.
        kind: The kind of these names, with an article, for the message.

    Raises:
        BadInput: No run matches, several match, the run has ended and `running` is true, or the first word
            means a run and also a work.
    """
    matching = _matching(root, words[0]) if words else []
    if matching:
        _check_is_only_run(root, words[0], matching, running=running, read_names=read_names, kind=kind)
    if words and (matching or _DATE.match(words[0])):
        return find_run(root, words[0], running=running), tuple(words[1:])
    return find_run(root, None, running=running), tuple(words)


def _check_is_only_run(
    root: str,
    word: str,
    matching: list[str],
    *,
    running: bool,
    read_names: Callable[[RunSummary], Iterable[str]],
    kind: str,
) -> None:
    """Refuse a word for a run if it also means a work of the run that a verb takes without a RUN.

    Raises:
        BadInput: It does.
    """
    if word in matching:  # a full id
        return
    try:
        run = find_run(root, None, running=running)
    except BadInput:  # several apps are running, or none: without a RUN, a verb takes none
        return
    names = [name for name in read_names(run) if name.endswith(f".{word}")]
    if names:
        raise BadInput(
            f"{word!r} means a run, and also {kind} of run {run.id}. Type the id of the run: "
            f"{list_names(reversed(matching))}; or the full name: {list_names(names)}."
        )


def find_named_works(
    run: RunSummary, words: Sequence[str], target: Sequence[str], names: Collection[str]
) -> list[str]:
    """Return the full names of the works that the user named.

    Args:
        run: The run.
        words: The words that name works, as `find_target` returns them.
        target: All words of the user: if the first one is no run, it may be a mistyped one.
        names: The names of all works.

    Raises:
        BadInput: No work matches a word, or several match.
    """
    found = []
    for word in words:
        try:
            found.append(find_work_name(word, names, f"run {run.id}"))
        except ComponentError as error:
            is_first = word == target[0] and len(words) == len(target)
            runs = _similar_runs(os.path.dirname(run.path), word, end_cutoff=0.8) if is_first else []
            hint = f" If {word!r} means a run: did you mean {list_names(runs)}?" if runs else ""
            raise BadInput(f"{error}{hint}") from None
    return found


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
    return run, {name: places[name] for name in find_named_works(run, texts, words, places)}


def _find(root: str, text: str, running: bool) -> RunSummary:
    runs = runs_folder(check_root(root))
    matching = [read_run(os.path.join(runs, run_id)) for run_id in _matching(root, text)]
    if len(matching) > 1 and running:
        matching = [run for run in matching if run.state == "running"] or matching
    if len(matching) == 1:
        return matching[0]
    if matching:
        which = list_names(run.id for run in reversed(matching))
        if matching[0].name == text:
            raise BadInput(f"{len(matching)} runs have the name {text!r}: {which}; type the id of one.")
        raise BadInput(f"{text!r} matches {len(matching)} runs: {which}; type more of the id.")
    similar = _similar_runs(runs, text, end_cutoff=0.5)
    hint = f"did you mean {list_names(similar)}?" if similar else "`lightning-lite ps` lists them."
    raise BadInput(f"there is no run {text!r} in {root}: {hint}")


def _similar_runs(runs: str, text: str, end_cutoff: float) -> list[str]:
    """Return the names of runs that are similar to a text, else such ids.

    Args:
        runs: Folder of the runs.
        text: The text that the user typed for a run.
        end_cutoff: How similar the last part of an id must be, from 0 to 1.
    """
    ids = list_runs(runs)
    names = {str(name) for run_id in ids if (name := read_details(os.path.join(runs, run_id)).get("name"))}
    by_end = {name.rpartition("-")[2]: name for name in ids}
    return (
        get_close_matches(text, names, n=3, cutoff=0.6)
        or get_close_matches(text, ids, n=3, cutoff=_ID_CUTOFF)
        or [by_end[end] for end in get_close_matches(text, by_end, n=3, cutoff=end_cutoff)]
    )


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
    begun = [run for run in newest_first if run.trouble != START_TROUBLE]  # the others have nothing to show
    return (running or begun or newest_first)[0]


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
    return list_names(f"{run.id} ({', '.join(filter(None, (run.name, run.app)))})" for run in runs)


def _matching(root: str, text: str) -> list[str]:
    """Return the id that equals `text`; else the ids of runs with this name; else all ids with this part."""
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
