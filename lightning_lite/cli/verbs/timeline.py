"""`lightning-lite timeline`: the calls of a run as a trace."""

from __future__ import annotations

import json
import time

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.targets import find_run
from lightning_lite.engine.history import read_history
from lightning_lite.monitor.perfetto import trace
from lightning_lite.quantity_text import count


@click.command(
    "timeline",
    cls=Command,
    epilog=examples(
        "timeline",
        "timeline 20261122-035501123-9f3ac2 -o monday.json",
        "timeline -o - | gzip > trace.json.gz",
    ),
)
@root_option
@plain_option
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False, allow_dash=True),
    default="trace.json",
    show_default=True,
    help="File to write; - for the standard output.",
)
@click.argument("run", required=False, shell_complete=complete_runs)
def command(root: str, output: str, run: str | None) -> None:
    """Write the calls of a run as a trace in the Trace Event Format.

    Open it in https://ui.perfetto.dev or chrome://tracing. There is a track for the flow, one for each work
    with the attempts of its calls, and the number of running works. For a running run, it has the calls so
    far.
    """
    found = find_run(root, run)
    events = trace(found, read_history(found.path), time.time())
    text = json.dumps(events, separators=(",", ":"))
    try:
        with click.open_file(output, "w", encoding="ascii", atomic=True) as file:
            file.write(f"{text}\n")
    except BrokenPipeError:
        raise
    except OSError as error:
        raise click.ClickException(f"{output!r} can't be written: {error.strerror}.") from error
    if output != "-":
        attempts = count(sum(event["ph"] == "X" for event in events["traceEvents"]), "attempt")
        click.echo(f"{output}: run {found.id}, {attempts} of calls; open it in https://ui.perfetto.dev")
