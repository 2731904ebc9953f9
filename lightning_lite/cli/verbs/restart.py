"""`lightning-lite restart`: give works new processes."""

from __future__ import annotations

from functools import partial

import click

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.control import find_places, find_works, has_exited, timeout_option, wait_until
from lightning_lite.cli.options import BadInput, examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.errors import CommandError
from lightning_lite.places import Place
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary

#: Seconds that a new process may take to be there.
_PATIENCE = 10.0


@click.command("restart", cls=Command, epilog=examples("restart train", "restart 9f3ac2 train evaluate"))
@click.argument("target", nargs=-1, shell_complete=complete_targets, required=True, metavar="[RUN] WORK...")
@timeout_option
@root_option
@plain_option
def command(root: str, target: tuple[str, ...], timeout: float) -> None:
    """End the processes of works in order and start new ones; calls that this cuts are run again."""
    run, works = find_works(root, target)
    if not works:
        raise BadInput(f"which work of run {run.id}? `lightning-lite status {run.id}` lists them.")
    for name in works:
        ask(run.path, "restart", work=name, timeout=timeout)
    for name, place in works.items():
        if place is not None and run.holder is not None and place == run.holder.place:
            # A work of the inline runner has no process of its own.
            say(f"{name}: asked to restart; it does so at its next change of state")
            continue
        if place is not None and not wait_until(partial(has_exited, run, name, place), timeout + _PATIENCE):
            raise CommandError(f"{name} ({place}) does not end: the flow is busy; kill it instead")
        if wait_until(partial(_has_new_process, run, name, place), _PATIENCE):
            say(f"{name}: restarted, {find_places(run).get(name)}")
        else:
            say(
                f"{name}: ended; its new process starts when the flow, which is busy, has come through",
                "yellow",
            )


def _has_new_process(run: RunSummary, name: str, old: Place | None) -> bool:
    return find_places(run).get(name, old) != old
