"""`lightning-lite stop`: ends a run or works in order."""

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
    runs_inline,
    timeout_option,
    wait_for_exit,
    wait_until,
)
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.errors import CommandError
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import read_run

#: Seconds to wait until a run has ended, or a killed process has exited.
_EXIT_TIMEOUT = 30.0


@click.command(
    "stop", cls=Command, epilog=examples("stop", "stop 9f3ac2", "stop train", "stop 9f3ac2 train -t 60")
)
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@timeout_option
@root_option
@plain_option
def command(root: str, target: tuple[str, ...], timeout: float) -> None:
    """End a run, or some of its works, in order, and wait for the end.

    The run has the exit code 143 and can be resumed. If only works are stopped, their calls have ended as
    stopped, and the app continues. `-t` applies to the named works; at the end of a run, each work has 5
    seconds.
    """
    run, works = find_works(root, target)
    if not works:
        end_in_order(run)
        if not wait_until(partial(has_ended, run), _EXIT_TIMEOUT):
            raise CommandError(
                f"run {run.id} has not ended yet; `lightning-lite kill {run.id}` ends it at once"
            )
        say(f"{run.id}: {read_run(run.path).state}")
        return
    for name in works:
        ask(run.path, "stop", work=name, timeout=timeout)
    for name, place in works.items():
        if runs_inline(run, place):
            say(f"{name}: asked to stop; it does so at its next change of state")
        elif not wait_until(partial(has_exited, run, name, place), timeout):
            ask(run.path, "kill", work=name)  # the app kills it too, but not while its flow is busy
            wait_for_exit(run, name, place, _EXIT_TIMEOUT)
            say(f"{name}: killed, because it did not end within {timeout:g} s", "yellow")
        else:
            say(f"{name}: stopped")
