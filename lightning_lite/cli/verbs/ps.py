"""`lightning-lite ps`: the runs of a root."""

from __future__ import annotations

import os
from collections import Counter
from time import time
from typing import Any

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.options import check_root, examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say, say_json, say_table, show_moment
from lightning_lite.monitor.run_list import recorded_works
from lightning_lite.monitor.run_status import read_status
from lightning_lite.quantity_text import format_seconds
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.runs.journal_format import has_journal, journal_size

_HEADINGS = ["ID", "NAME", "APP", "STATE", "TAGS", "STARTED", "TOOK", "WORKS"]

#: Maximum number of runs that are listed without --all.
_MAX_RUNS = 20

#: Size in bytes up to which the journal of a run that died is read: a few milliseconds.
_SHORT_JOURNAL = 128 * 1024


@click.command(
    "ps",
    cls=Command,
    epilog=examples(
        "ps", "ps --tag nightly", "ps --running --json", "stop $(lightning-lite ps -q --running --name trial)"
    ),
)
@click.option(
    "-a", "--all", "shows_all", is_flag=True, help=f"List all runs, not only the latest {_MAX_RUNS}."
)
@click.option("-q", "--quiet", is_flag=True, help="Print only the ids.")
@click.option("--running", is_flag=True, help="List only runs that are still running.")
@click.option("--name", metavar="NAME", help="List only runs with this name.")
@click.option("--tag", "tags", metavar="TAG", multiple=True, help="List only runs with this tag; repeatable.")
@root_option
@json_option
@plain_option
@click.pass_context
def command(
    ctx: click.Context,
    root: str,
    shows_all: bool,
    quiet: bool,
    running: bool,
    name: str | None,
    tags: tuple[str, ...],
    as_json: bool,
) -> None:
    """List the runs, the latest first.

    A run has died if its process ended without recording why.
    """
    # Where no app has run yet, there are no runs; a folder that was named is more likely a mistake.
    is_named = ctx.get_parameter_source("root") is click.core.ParameterSource.COMMANDLINE
    is_missing = not is_named and not os.path.lexists(root)
    runs = _select([] if is_missing else read_runs(check_root(root)), running, name, tags)
    shown = runs if shows_all or quiet or as_json else runs[:_MAX_RUNS]
    if quiet:
        for run in shown:
            say(run.id)
    elif as_json:
        say_json([_describe(run) for run in shown])
    elif not runs:
        _say_no_run(root, running, name, tags)
    else:
        _say_runs(shown, len(runs) - len(shown))


def _select(
    runs: list[RunSummary], running: bool, name: str | None, tags: tuple[str, ...]
) -> list[RunSummary]:
    """Return the runs that the options ask for, the latest first."""
    return [
        run
        for run in reversed(runs)
        if (run.state == "running" or not running)
        and (name is None or run.name == name)
        and set(tags).issubset(run.tags)
    ]


def _say_no_run(root: str, running: bool, name: str | None, tags: tuple[str, ...]) -> None:
    named = f" with the name {name!r}" if name is not None else ""
    tagged = f" with the tags {', '.join(tags)}" if tags else ""
    say(f"There is no {'running run' if running else 'run'}{named}{tagged} in {root}.")


def _say_runs(shown: list[RunSummary], num_hidden: int) -> None:
    """Print the table of the runs, and below it the damage that was found and the number of older runs."""
    # Most roots have no named run: the two columns would be empty.
    optional = {"NAME": any(run.name for run in shown), "TAGS": any(run.tags for run in shown)}
    headings = [heading for heading in _HEADINGS if optional.get(heading, True)]
    say_table(headings, ([_cell(run, heading) for heading in headings] for run in shown))
    for run in shown:
        if run.trouble:
            say(f"{run.id}: {run.trouble}", "yellow")
    if num_hidden:
        say(f"... and {num_hidden} older ones: lightning-lite ps --all")


def _cell(run: RunSummary, heading: str) -> object:
    """Return the text of a run in a column."""
    match heading:
        case "ID":
            return run.id
        case "NAME":
            return run.name
        case "APP":
            return run.app
        case "STATE":
            return run.state
        case "TAGS":
            return ", ".join(run.tags)
        case "STARTED":
            return show_moment(run.started)
        case "TOOK":
            end = run.ended if run.state != "running" else time()
            return None if run.started is None or end is None else format_seconds(end - run.started)
        case _:
            return _show_works(_count_works(run))


def _describe(run: RunSummary) -> dict[str, Any]:
    details = run.details
    return {
        "id": run.id,
        "name": run.name,
        "tags": run.tags,
        "app": run.app,
        "state": run.state,
        "started": details.get("started"),
        "ended": details.get("ended") if run.state != "running" else None,
        "pid": run.holder.pid if run.holder is not None else None,
        "host": run.holder.host if run.holder is not None else None,
        "command": details.get("command"),
        "cwd": details.get("cwd"),
        "folder": run.path,
        "works": _count_works(run),
        "trouble": run.trouble,
    }


def _count_works(run: RunSummary) -> dict[str, int]:
    """Return the number of works in each state.

    A running app answers it. For an ended run it is in `run.json`. So it is for a run that died, but it was
    written some seconds before the death. The journal is read for the exact numbers only if it is short, so
    that many long runs are listed at once.
    """
    if run.state != "running" and "works" in run.details and not _is_worth_reading(run):
        return recorded_works(run)
    if not has_journal(run.path):
        return {}
    return dict(Counter(work.state for work in read_status(run, journal=False).works))


def _is_worth_reading(run: RunSummary) -> bool:
    """Return whether the journal says more than `run.json`, and is short."""
    return run.state == "died" and journal_size(run.path) <= _SHORT_JOURNAL


def _show_works(states: dict[str, int]) -> str:
    return ", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"
