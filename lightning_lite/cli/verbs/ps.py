"""`lightning-lite ps`: the runs of a root."""

from __future__ import annotations

from collections import Counter
from time import time
from typing import Any

import click

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.options import check_root, examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say, say_json, say_table, show_moment
from lightning_lite.cli.run_reader import look, state_at_the_end
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.runs.reader import has_journal, journal_size
from lightning_lite.text import format_seconds

#: How many runs are listed without --all.
_MANY = 20

#: Size in bytes up to which the journal of a run that died is read: a few milliseconds.
_SHORT_JOURNAL = 128 * 1024


@click.command(
    "ps",
    cls=Command,
    epilog=examples("ps", "ps --running --json", "stop $(lightning-lite ps -q --running)"),
)
@click.option("-a", "--all", "shows_all", is_flag=True, help=f"All runs, not only the latest {_MANY}.")
@click.option("-q", "--quiet", is_flag=True, help="Only the ids.")
@click.option("--running", is_flag=True, help="Only runs that are still running.")
@root_option
@json_option
@plain_option
def command(root: str, shows_all: bool, quiet: bool, running: bool, as_json: bool) -> None:
    """List the runs: the latest first.

    A run whose process is gone without a last record has died, even if its files say "running".
    """
    runs = read_runs(check_root(root))[::-1]
    if running:
        runs = [run for run in runs if run.state == "running"]
    hidden = 0 if shows_all or quiet or as_json else max(0, len(runs) - _MANY)
    shown = runs[: len(runs) - hidden]
    if quiet:
        for run in shown:
            say(run.id)
    elif as_json:
        say_json([_describe(run) for run in shown])
    elif not runs:
        say(f"There is no {'running run' if running else 'run'} in {root}.")
    else:
        say_table(["ID", "APP", "STATE", "STARTED", "TOOK", "WORKS"], map(_row, shown))
        if hidden:
            say(f"... and {hidden} older ones: lightning-lite ps --all")


def _row(run: RunSummary) -> tuple[object, ...]:
    end = run.ended if run.state != "running" else time()
    took = None if run.started is None or end is None else format_seconds(max(0.0, end - run.started))
    return run.id, run.app, run.state, show_moment(run.started), took, _show_works(_count_works(run))


def _describe(run: RunSummary) -> dict[str, Any]:
    facts = run.details
    return {
        "id": run.id,
        "app": run.app,
        "state": run.state,
        "started": facts.get("started"),
        "ended": facts.get("ended") if run.state != "running" else None,
        "pid": run.holder.pid if run.holder is not None else None,
        "command": facts.get("command"),
        "cwd": facts.get("cwd"),
        "folder": run.path,
        "works": _count_works(run),
    }


def _count_works(run: RunSummary) -> dict[str, int]:
    """Return how many works are in which state.

    A running app says it. An ended run has it in its `run.json`. So has a run that died, but as of some
    seconds before its death. Only a short journal is read to know it exactly, so that many long runs are
    listed at once.
    """
    counted = run.details.get("works")
    if run.state != "running" and isinstance(counted, dict) and not _is_worth_reading(run):
        works: Counter[str] = Counter()
        for state, count in counted.items():
            works[state_at_the_end(state)] += (
                count if type(count) is int else 0
            )  # run.json was edited by hand
        return dict(works)
    if not has_journal(run.path):
        return {}
    return dict(Counter(work.state for work in look(run, journal=False).works))


def _is_worth_reading(run: RunSummary) -> bool:
    """Return whether the journal says more than `run.json`, and is short."""
    return run.state == "died" and journal_size(run.path) <= _SHORT_JOURNAL


def _show_works(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
