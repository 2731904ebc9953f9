"""`lightning-lite top`: watch a run."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from threading import Event
from time import time
from typing import Any

import click

from lightning_lite.cli.command_classes import Command, is_plain
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import examples, json_option, plain_option, root_option
from lightning_lite.cli.output import say, say_json, say_table, show_moment
from lightning_lite.cli.run_reader import Sight, look
from lightning_lite.cli.targets import find_run
from lightning_lite.errors import CommandError
from lightning_lite.runners.output.log_reader import last_line
from lightning_lite.runs.catalog import RunSummary, read_run
from lightning_lite.text import format_bytes, format_seconds
from lightning_lite.ui.live_table import BUSY, WorkRow, live_table


@click.command("top", cls=Command, epilog=examples("top", "top 9f3ac2 --interval 0.5", "top --json"))
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option(
    "--interval",
    type=click.FloatRange(min=0.1),
    default=1.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks.",
)
@root_option
@json_option
@plain_option
def command(root: str, run: str | None, interval: float, as_json: bool) -> None:
    """Watch the works of a run until it ends, or until Ctrl-C.

    Where there is no terminal, and with --plain or --json, it looks once.
    """
    found = find_run(root, run, running=True)
    sight = _look(found)
    if as_json:
        say_json(
            {
                "id": found.id,
                "app": found.app,
                "busy": sight.busy,
                "works": [_describe(work) for work in sight.works],
            }
        )
    elif is_plain():
        say(_title(sight))
        say_table(
            ["WORK", "STATE", "CALL", "PROGRESS", "SINCE", "CPU", "MEMORY", "LAST OUTPUT"],
            map(_row, sight.works),
        )
    else:
        _watch(sight, interval)
        ended = read_run(found.path)
        say(f"{ended.app}, run {ended.id}: {ended.state}")


def _look(run: RunSummary) -> Sight:
    """Look at a run that goes on; of one that has just ended nothing is seen."""
    sight = look(run, journal=False, usage=True)
    if not sight.is_answering and read_run(run.path).state == "running":
        raise CommandError(sight.trouble)
    logs = os.path.join(run.path, "logs")
    works = [
        work._replace(last_line=last_line(os.path.join(logs, f"{work.name}.log"))) for work in sight.works
    ]
    return sight._replace(works=works)


def _watch(sight: Sight, interval: float) -> None:
    from rich.console import Console  # noqa: PLC0415 - 70 ms, and only `top` needs it
    from rich.live import Live  # noqa: PLC0415 - as above

    console, pause = Console(), Event()
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while sight.is_answering:
            width, height = console.size
            live.update(
                live_table(sight.works, title=_title(sight), now=time(), width=width, height=height),
                refresh=True,
            )
            pause.wait(interval)
            sight = _look(read_run(sight.run.path))


def _title(sight: Sight) -> str:
    run = sight.run
    since = f" · {format_seconds(time() - run.started)}" if run.started is not None else ""
    busy = f" · the flow is busy for {format_seconds(sight.busy)}" if sight.busy is not None else ""
    return f"{run.app} · {run.id}{since} · {_count(sight.works)}{busy}{_count_elsewhere(sight.works)}"


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
        f"{work.progress:.0%}" if work.progress is not None else None,
        show_moment(work.since),
        f"{work.cpu:.0%}" if work.cpu is not None else None,
        format_bytes(work.memory) if work.memory is not None else None,
        work.last_line,
    )
