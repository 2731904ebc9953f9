"""`lightning-lite restart`: gives works new processes."""

from __future__ import annotations

from functools import partial

import click

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.control import (
    find_works,
    has_exited,
    read_places,
    runs_inline,
    timeout_option,
    wait_until,
)
from lightning_lite.cli.options import BadInput, examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.errors import CommandError
from lightning_lite.places import Place
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary

#: Seconds to wait for a new process, after the time for the old one to end.
_START_TIMEOUT = 10.0


@click.command("restart", cls=Command, epilog=examples("restart train", "restart 9f3ac2 train evaluate"))
@click.argument("target", nargs=-1, shell_complete=complete_targets, required=True, metavar="[RUN] WORK...")
@timeout_option
@root_option
@plain_option
def command(root: str, target: tuple[str, ...], timeout: float) -> None:
    """End the processes of works in order and start new ones; interrupted calls are run again."""
    run, works = find_works(root, target)
    if not works:
        raise BadInput(f"name a work of run {run.id}; `lightning-lite status {run.id}` lists them.")
    for name in works:
        ask(run.path, "restart", work=name, timeout=timeout)
    for name, place in works.items():
        if runs_inline(run, place):
            say(f"{name}: asked to restart; it does so at its next change of state")
            continue
        exited = partial(has_exited, run, name, place)
        if not wait_until(exited, timeout + _START_TIMEOUT):
            raise CommandError(f"{name} ({place}) does not end: the flow is busy; kill it instead")
        if wait_until(partial(_has_new_process, run, name, place), _START_TIMEOUT):
            say(f"{name}: restarted, {read_places(run).get(name)}")
        else:
            say(f"{name}: ended; the flow is busy, and starts the new process after its pass", "yellow")


def _has_new_process(run: RunSummary, name: str, old: Place | None) -> bool:
    return read_places(run).get(name, old) != old
