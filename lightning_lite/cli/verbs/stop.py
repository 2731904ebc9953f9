"""`lightning-lite stop`: end a run or works in order."""

from __future__ import annotations

from functools import partial

import click

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.control import (
    end_in_order,
    find_works,
    has_ended,
    has_exited,
    timeout_option,
    wait_until,
)
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.errors import CommandError
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import read_run

#: Seconds that a run may take to end, beyond what its works get.
_PATIENCE = 30.0


@click.command(
    "stop", cls=Command, epilog=examples("stop", "stop 9f3ac2", "stop train", "stop 9f3ac2 train -t 60")
)
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@timeout_option
@root_option
@plain_option
def command(root: str, target: tuple[str, ...], timeout: float) -> None:
    """End a run in order, as Ctrl-C does; or some of its works.

    A run that is ended so has the exit code 143 and can be resumed. The calls of a work that is stopped
    end as stopped, and the app goes on. Returns when all is over. `-t` is for works that are named: where
    the whole run ends, each work gets 5 seconds.
    """
    run, works = find_works(root, target)
    if not works:
        end_in_order(run)
        if not wait_until(partial(has_ended, run), _PATIENCE):
            raise CommandError(f"run {run.id} is still ending; `lightning-lite kill {run.id}` does not wait")
        say(f"{run.id}: {read_run(run.path).state}")
        return
    for name in works:
        ask(run.path, "stop", work=name, timeout=timeout)
    for name, place in works.items():
        if place is not None and run.holder is not None and place == run.holder.place:
            # A work of the inline runner has no process of its own.
            say(f"{name}: asked to stop; it does so at its next change of state")
        elif place is not None and not wait_until(partial(has_exited, run, name, place), timeout):
            ask(run.path, "kill", work=name)  # also if the flow is busy, which would else do it
            if not wait_until(partial(has_exited, run, name, place), _PATIENCE):
                raise CommandError(f"{name} ({place}) was killed, but hangs in the kernel")
            say(f"{name}: killed, because it did not end within {timeout:g} s", "yellow")
        else:
            say(f"{name}: stopped")
