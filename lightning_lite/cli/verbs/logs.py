"""`lightning-lite logs`: the output of the flow and the works of a run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable
from datetime import datetime
from threading import Event
from time import time

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.options import BadInput, ParamType, examples, plain_option, read_age, root_option
from lightning_lite.cli.targets import find_named_works, find_target, read_work_names
from lightning_lite.colour_codes import without_colours
from lightning_lite.harmless_text import harmless
from lightning_lite.runners.output.flow_log import FLOW
from lightning_lite.runners.output.log_reader import Line, RunLogs, list_logs
from lightning_lite.runs.catalog import read_run
from lightning_lite.ui.terminal_colours import Palette

#: Seconds between two reads of the logs.
_INTERVAL = 0.1

#: Maximum number of lines in one write.
_BATCH = 1000


class _Moment(ParamType[float]):
    """An age such as `10m`, or a date, a time or both in ISO 8601; the value is in seconds since 1970."""

    name = "moment"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> float:
        text = str(value)
        age = read_age(text)
        if age is not None:
            return time() - age
        today = datetime.now().date().isoformat()
        for candidate in (text, f"{today}T{text}"):
            try:
                return datetime.fromisoformat(candidate).timestamp()
            except ValueError:
                continue
        return self.fail(
            f"invalid time {text!r}; write an age such as 10m or 2h, or a time such as 14:30 or "
            "2026-11-22T14:30:00."
        )


@click.command(
    "logs",
    cls=Command,
    epilog=examples(
        "logs", "logs -f train", "logs 9f3ac2 train evaluate -n 20", "logs --since 10m --timestamps"
    ),
)
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@click.option("-f", "--follow", is_flag=True, help="Also show new lines, until the run ends.")
@click.option(
    "-n",
    "--tail",
    "nlines",
    type=click.IntRange(min=0),
    metavar="N",
    help="Only the last N lines of each work.",
)
@click.option("--since", type=_Moment(), metavar="TIME", help="Only later lines: 10m (ago), or 14:30.")
@click.option("-t", "--timestamps", is_flag=True, help="Print the time of each line.")
@click.option("--no-prefix", is_flag=True, help="Print lines without the names of their works.")
@click.option("--json", "as_json", is_flag=True, help="Print a JSON object for each line: time, work, line.")
@root_option
@plain_option
def command(
    root: str,
    target: tuple[str, ...],
    follow: bool,
    nlines: int | None,
    since: float | None,
    timestamps: bool,
    no_prefix: bool,
    as_json: bool,
) -> None:
    """Show the output of the flow and the works of a run, in the order in which it was printed.

    The name of the flow is root.
    """
    run, words = find_target(root, target)
    folder = os.path.join(run.path, "logs")
    try:
        logged = list_logs(folder)
    except OSError as error:
        is_moved = isinstance(error, NotADirectoryError)
        advice = " Move the logs back to that place: links there are not followed." if is_moved else ""
        raise BadInput(
            f"the logs of run {run.id} can't be read: {error.strerror} ({folder!r}).{advice}"
        ) from error
    works = find_named_works(run, words, target, {FLOW, *read_work_names(run), *logged}) if words else ()
    logs = RunLogs(run.path, works, nlines=nlines, since=since)
    show = _to_json if as_json else _Text(timestamps=timestamps, prefix=not no_prefix)
    pause = Event()
    while True:
        # Check before the read: a run that ends after the check may still have printed.
        continues = follow and read_run(run.path).state == "running"
        _write(logs.read(to_end=not continues), show)
        if not continues:
            return
        pause.wait(_INTERVAL)


def _write(lines: Iterable[Line], show: Callable[[Line], str]) -> None:
    batch: list[str] = []
    for line in lines:
        batch.append(show(line))
        if len(batch) == _BATCH:
            click.echo("\n".join(batch))
            batch.clear()
    if batch:
        click.echo("\n".join(batch))


def _to_json(line: Line) -> str:
    text = without_colours(line.text)
    return json.dumps({"time": line.time, "work": line.work, "line": text}, ensure_ascii=False)


class _Text:
    """Formats lines as on the terminal of the app."""

    def __init__(self, *, timestamps: bool, prefix: bool) -> None:
        self._timestamps = timestamps
        self._prefix = prefix
        self._palette = Palette()

    def __call__(self, line: Line) -> str:
        text = harmless(line.text, colours=True)
        if self._prefix:
            colour = self._palette.colour_of(line.work)
            text = click.style(f"{line.work} | ", fg=colour) + text
        return f"{_show_time(line.time)} {text}" if self._timestamps else text


def _show_time(moment: float | None) -> str:
    if moment is None:
        return "-" * len("2026-11-22T14:30:00.000")
    return datetime.fromtimestamp(moment).isoformat(timespec="milliseconds")
