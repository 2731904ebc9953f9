"""`lightning-lite clean`: removes old runs."""

from __future__ import annotations

import os
import sys
import time
from typing import NamedTuple

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.drives.arguments import command_line_errors
from lightning_lite.cli.options import (
    BadInput,
    ParamType,
    check_root,
    drives_option,
    examples,
    json_option,
    plain_option,
    read_age,
    root_option,
)
from lightning_lite.cli.output import say, say_json, say_table, show_moment
from lightning_lite.errors import JournalError
from lightning_lite.quantity_text import count, format_bytes
from lightning_lite.runs.catalog import RunSummary, read_runs
from lightning_lite.runs.retention import (
    KEEP_RUNS,
    beyond_limit,
    last_change,
    remove_leftovers,
    remove_run,
    size_of,
)
from lightning_lite.storage.stores import sweep
from lightning_lite.store_url import is_url


class Age(ParamType[float]):
    """A duration such as `7d`, `12h` or `90s`; the value is in seconds."""

    name = "age"

    def convert(self, value: str | float, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Return the seconds."""
        if isinstance(value, float):
            return value
        seconds = read_age(value)
        if seconds is None:
            self.fail(
                f"invalid age {value!r}; write a number and a unit (s, m, h, d or w), such as 7d.", param, ctx
            )
        return seconds


class _Old(NamedTuple):
    run: RunSummary
    changed: float
    size: int


@click.command(
    "clean",
    cls=Command,
    epilog=examples("clean --older-than 7d --dry-run", "clean --keep 10", "clean --all --yes"),
)
@root_option
@drives_option
@json_option
@plain_option
@click.option("--keep", metavar="N", type=click.IntRange(min=0), help="Keep the N newest runs.")
@click.option(
    "--older-than", metavar="AGE", type=Age(), help="Remove runs without a change for this time: 7d, 12h."
)
@click.option("--all", "takes_all", is_flag=True, help="Remove all runs that have ended; asks first.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("-n", "--dry-run", is_flag=True, help="Only print the runs that would be removed.")
def command(
    root: str,
    drives: str | None,
    keep: int | None,
    older_than: float | None,
    takes_all: bool,
    yes: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove old runs with their journals, values and logs. A running run is never removed.

    With both --keep and --older-than, the runs that both options select are removed. Without options, the
    same runs are removed as at each start of an app: all but the 50 newest, and 50 older ones that can be
    resumed. Drives are not changed. On an object store, objects that were replaced or left by a dead process
    more than a week ago are deleted.
    """
    if takes_all and (keep is not None or older_than is not None):
        raise BadInput("--all removes all runs that have ended; use it without --keep and --older-than.")
    newest_first = read_runs(check_root(root))[::-1]
    if takes_all:
        chosen = newest_first
    elif keep is None and older_than is None:
        paths = set(beyond_limit([run.path for run in newest_first], KEEP_RUNS))
        chosen = [run for run in newest_first if run.path in paths]
    else:
        chosen = newest_first[keep or 0 :]
    now = time.time()
    old = [
        _Old(run, last_change(run.path), size_of(run.path))
        for run in chosen
        if run.state != "running" and (older_than is None or now - last_change(run.path) >= older_than)
    ]
    if takes_all and old and not (yes or dry_run):
        _ask(old)
    if dry_run:
        removed = [each for each in old if not os.path.islink(each.run.path)]
    else:
        removed = [each for each in old if _remove(each.run)]
    num_objects = 0
    if not dry_run:
        remove_leftovers(root)
        if is_url(drives):
            with command_line_errors():
                num_objects = sweep(drives)
    _report(removed, num_objects, dry_run, as_json)


def _ask(old: list[_Old]) -> None:
    if not sys.stdin.isatty():
        raise BadInput("--all asks before it removes anything, but the input is not a terminal; add --yes.")
    size = format_bytes(sum(each.size for each in old))
    runs = count(len(old), "run")
    if not click.confirm(f"Remove {runs} ({size}), also those that could be resumed?", err=True):
        click.echo("Nothing was removed.", err=True)
        click.get_current_context().exit(1)


def _remove(run: RunSummary) -> bool:
    """Remove a run, or print why it is kept; return whether it was removed."""
    try:
        remove_run(run.path)
    except JournalError as error:
        click.echo(f"Kept: {error}.", err=True)
    except FileNotFoundError:
        pass  # another process removed it first
    except OSError as error:
        click.echo(f"Kept: {run.id} can't be removed: {error.strerror}.", err=True)
    else:
        return True
    return False


def _report(removed: list[_Old], num_objects: int, dry_run: bool, as_json: bool) -> None:
    freed = sum(each.size for each in removed)
    if as_json:
        runs = [{"id": run.id, "app": run.app, "state": run.state, "size": size} for run, _, size in removed]
        say_json({"removed": runs, "freed": freed, "objects": num_objects, "dry_run": dry_run})
        return
    if removed:
        rows = [
            (run.id, run.app, run.state, show_moment(at), format_bytes(size)) for run, at, size in removed
        ]
        say_table(["ID", "APP", "STATE", "CHANGED", "SIZE"], rows)
    verb = "Would remove" if dry_run else "Removed"
    if removed:
        say(f"{verb} {count(len(removed), 'run')}, {format_bytes(freed)}.")
    elif not num_objects:
        say("There is nothing to remove.")
    if num_objects:
        say(f"Deleted {count(num_objects, 'object')} that no drive names any more.")
