"""`lightning-lite otel`: the calls of a run as a trace in OpenTelemetry."""

from __future__ import annotations

from threading import Event

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.targets import find_run
from lightning_lite.monitor.follower import RunFollower
from lightning_lite.monitor.opentelemetry_export import TraceExport, TraceExportError
from lightning_lite.quantity_text import count
from lightning_lite.runs.catalog import read_run

#: Seconds between two exports of a run that is followed.
_INTERVAL = 0.5


@click.command(
    "otel",
    cls=Command,
    epilog=examples(
        "otel", "otel -f --endpoint http://localhost:4318", "otel 20261122-035501123-9f3ac2 --arguments"
    ),
)
@root_option
@plain_option
@click.option("-f", "--follow", is_flag=True, help="Also send new calls, until the run ends.")
@click.option(
    "--endpoint",
    metavar="URL",
    help="Base address of the receiver; the default is OTEL_EXPORTER_OTLP_ENDPOINT, or http://localhost:4318.",
)
@click.option("--arguments", is_flag=True, help="Also send the arguments of calls.")
@click.argument("run", required=False, shell_complete=complete_runs)
def command(root: str, follow: bool, endpoint: str | None, arguments: bool, run: str | None) -> None:
    """Send the calls of a run to OpenTelemetry, with OTLP over HTTP.

    A run is one trace, and a call of a work is a span of it. Each call is sent once, after it has ended; the
    span of the run is sent when the run has ended. All environment variables of OpenTelemetry's exporter have
    their effect. Needs the extra: pip install "lightning-lite-apps[otel]".
    """
    found = find_run(root, run)
    try:
        export = TraceExport(found, endpoint=endpoint, with_arguments=arguments)
    except TraceExportError as error:
        raise click.ClickException(str(error)) from None
    try:
        trouble = _send(export, found.path, follow=follow)
    finally:
        export.close()
    calls = count(export.num_calls, "call")
    click.echo(f"run {found.id}: {calls} sent to {export.endpoint}, trace {export.trace_id}")
    if trouble:
        raise click.ClickException(trouble)


def _send(export: TraceExport, path: str, *, follow: bool) -> str:
    """Send the calls of a run, and return why its journal can't be read on, or ""."""
    follower = RunFollower(path)
    pause = Event()
    said = ""
    while True:
        # Check before the read: a run that ends after the check may still have made calls.
        run = read_run(path)
        continues = follow and run.state == "running"
        follower.follow()
        while not follower.is_complete:
            follower.follow()
        try:
            if run.state == "running":
                export.send(follower.history)
            else:
                export.finish(run, follower.history)
        except TraceExportError as error:
            if not continues:
                raise click.ClickException(str(error)) from None
            if str(error) != said:  # it is tried again
                said = str(error)
                click.echo(f"Warning: {said}", err=True)
        if not continues:
            return follower.trouble
        pause.wait(_INTERVAL)
