"""Finds the run and the works that a user names on the command line."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from lightning_lite.cli.options import BadInput, check_root
from lightning_lite.runs.catalog import RunSummary, list_runs, read_run

#: How many names an error lists.
_MANY = 5

#: The beginning of a run's id: a day, which is no name of a work.
_RUN_LIKE = re.compile(r"\d{6,}")


def find_run(root: str, text: str | None, *, running: bool = False) -> RunSummary:
    """Return the run that is meant.

    Args:
        root: The root as `--root` has it.
        text: Its id or a part of it; `None` for the one that is still running, or else the latest.
        running: Whether the run has to be running still.

    Raises:
        BadInput: There is none, or more than one.
    """
    run = _choose(root) if text is None else _find(root, text)
    if running and run.state != "running":
        raise BadInput(f"run {run.id} does not go on: it {_describe(run)}.")
    return run


def find_target(
    root: str, words: Sequence[str], *, running: bool = False
) -> tuple[RunSummary, tuple[str, ...]]:
    """Return the run that is meant by the first word, if it is a run, and the other words, which are works.

    Raises:
        BadInput: There is no such run, or more than one.
    """
    if words and (_fitting(root, words[0]) or _RUN_LIKE.match(words[0])):
        return find_run(root, words[0], running=running), tuple(words[1:])
    return find_run(root, None, running=running), tuple(words)


def find_work(run: str, text: str, names: Collection[str]) -> str:
    """Return the full name of the work that is meant.

    Args:
        run: Id of the run, for the message.
        text: Its name, or the end of it.
        names: All there are.

    Raises:
        BadInput: There is none, or more than one.
    """
    for name in (text, f"root.{text}"):
        if name in names:
            return name
    fitting = [name for name in names if name.endswith(f".{text}")]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise BadInput(f"{text!r} fits several works of run {run}: {_list(fitting)}.")
    by_end = {name.rpartition(".")[2]: name for name in names}
    near = get_close_matches(text, [*names, *by_end], n=_MANY, cutoff=0.5)
    if near:
        hint = f"did you mean {_list(dict.fromkeys(by_end.get(name, name) for name in near))}?"
    else:
        hint = f"there are {_list(sorted(names))}." if names else "it has none."
    raise BadInput(f"there is no work {text!r} in run {run}: {hint}")


def _find(root: str, text: str) -> RunSummary:
    runs = os.path.join(check_root(root), "runs")
    fitting = _fitting(root, text)
    if len(fitting) == 1:
        return read_run(os.path.join(runs, fitting[0]))
    if fitting:
        raise BadInput(f"{text!r} fits {len(fitting)} runs: {_list(fitting[::-1])}; type more of the id.")
    ids = list_runs(runs)
    by_end = {name.rpartition("-")[2]: name for name in ids}
    near = get_close_matches(text, ids, n=3, cutoff=0.5)
    near = near or [by_end[end] for end in get_close_matches(text, by_end, n=3, cutoff=0.5)]
    hint = f"did you mean {_list(near)}?" if near else "`lightning-lite ps` lists them."
    raise BadInput(f"there is no run {text!r} in {root}: {hint}")


def _choose(root: str) -> RunSummary:
    runs = os.path.join(check_root(root), "runs")
    newest_first = [read_run(os.path.join(runs, name)) for name in reversed(list_runs(runs))]
    if not newest_first:
        raise BadInput(f"there is no run in {root}.")
    going_on = [run for run in newest_first if run.state == "running"]
    if len(going_on) > 1:
        names = _list(f"{run.id} ({run.app})" for run in going_on)
        raise BadInput(f"{len(going_on)} runs are still running; name one of them: {names}.")
    return (going_on or newest_first)[0]


def _fitting(root: str, text: str) -> list[str]:
    """Return the ids that are meant by a part of one: its beginning, or its last digits."""
    ids = list_runs(os.path.join(root, "runs"))
    if text in ids:
        return [text]
    return [name for name in ids if text and (name.startswith(text) or name.endswith(text))]


def _describe(run: RunSummary) -> str:
    known = {"died": "has died", "failed": "has failed", "unknown": "does not say how it ended"}
    return known.get(run.state, f"was {run.state}")


def _list(names: Iterable[str]) -> str:
    found = list(names)
    more = f" and {len(found) - _MANY} more" if len(found) > _MANY else ""
    return ", ".join(found[:_MANY]) + more
