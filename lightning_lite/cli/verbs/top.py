"""`lightning-lite top`: shows the works of a run repeatedly."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from threading import Event
from time import time
from typing import Any

import click

from lightning_lite.cli.click_classes import Command, is_plain
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import LONGEST, Seconds, examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say, say_json, say_table, show_bytes, show_moment, show_share
from lightning_lite.cli.targets import find_run
from lightning_lite.colour_codes import has_no_colour
from lightning_lite.errors import CommandError
from lightning_lite.monitor.run_status import RunStatus, read_status
from lightning_lite.quantity_text import format_seconds
from lightning_lite.runners.output.log_reader import last_line
from lightning_lite.runs.catalog import RunSummary, read_run
from lightning_lite.ui.live_table import BUSY, live_table
from lightning_lite.work_row import WorkRow


@click.command("top", cls=Command, epilog=examples("top", "top 9f3ac2 --interval 0.5", "top --json"))
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option(
    "--interval",
    type=Seconds(min=0.1, max=LONGEST),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two updates.",
)
@root_option
@json_option
@plain_option
def command(root: str, run: str | None, interval: float, as_json: bool) -> None:
    """Show the works of a run until it ends, or until Ctrl-C.

    Without a terminal, and with --plain or --json, it shows them once.
    """
    found = find_run(root, run, running=True)
    status = _read_running(found)
    if as_json:
        say_json(
            {
                "id": found.id,
                "app": found.app,
                "busy": status.busy,
                "works": [_describe(work) for work in status.works],
            }
        )
    elif is_plain():
        say(_title(status))
        say_table(
            ["WORK", "STATE", "CALL", "PROGRESS", "SINCE", "CPU", "MEMORY", "LAST OUTPUT"],
            map(_row, status.works),
        )
    else:
        _watch(status, interval)
        ended = read_run(found.path)
        say(f"{ended.app}, run {ended.id}: {ended.state}")


def _read_running(run: RunSummary) -> RunStatus:
    """Return the status of a running run; it is empty if the run has just ended."""
    status = read_status(run, journal=False, usage=True)
    if not status.is_answering and read_run(run.path).state == "running":
        raise CommandError(status.trouble)
    logs = os.path.join(run.path, "logs")
    works = [
        work._replace(last_line=last_line(os.path.join(logs, f"{work.name}.log"))) for work in status.works
    ]
    return status._replace(works=works)


def _watch(status: RunStatus, interval: float) -> None:
    from rich.console import Console  # noqa: PLC0415 - takes 70 ms, and only `top` needs it
    from rich.live import Live  # noqa: PLC0415 - as above

    console, pause = Console(no_color=has_no_colour()), Event()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while status.is_answering:
            width, height = console.size
            live.update(
                live_table(status.works, title=_title(status), now=time(), width=width, height=height),
                refresh=True,
            )
            pause.wait(interval)
            status = _read_running(read_run(status.run.path))


def _title(status: RunStatus) -> str:
    run = status.run
    since = f" · {format_seconds(time() - run.started)}" if run.started is not None else ""
    busy = f" · the flow is busy for {format_seconds(status.busy)}" if status.busy is not None else ""
    return f"{run.app} · {run.id}{since} · {_count(status.works)}{busy}{_count_elsewhere(status.works)}"


def _count(works: Sequence[WorkRow]) -> str:
    num_busy = sum(count for state, count in Counter(work.state for work in works).items() if state in BUSY)
    return f"{num_busy} of {len(works)} works {'is' if num_busy == 1 else 'are'} busy"


def _count_elsewhere(works: Sequence[WorkRow]) -> str:
    """Return how many works are on other hosts, where their processes can't be measured."""
    places = [work.place for work in works if work.place is not None and not work.place.is_here()]
    hosts = ", ".join(sorted({place.host for place in places}))
    return f" · {len(places)} on other hosts, not measured: {hosts}" if places else ""


def _describe(work: WorkRow) -> dict[str, Any]:
    fields = work._asdict()
    place = fields.pop("place")
    return {
        **fields,
        "pid": place.pid if place is not None else None,
        "host": place.host if place is not None else None,
    }


def _row(work: WorkRow) -> tuple[object, ...]:
    return (
        work.name,
        work.state,
        work.call or None,
        show_share(work.progress),
        show_moment(work.since),
        show_share(work.cpu),
        show_bytes(work.memory),
        work.last_line,
    )
