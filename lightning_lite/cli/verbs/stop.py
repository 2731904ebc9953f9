"""`lightning-lite stop`: ends a run or works in order."""

from __future__ import annotations

from functools import partial

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.options import examples, plain_option, root_option, timeout_option
from lightning_lite.cli.output import say_outcomes
from lightning_lite.cli.targets import find_works
from lightning_lite.monitor.control import stop_run, stop_works


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
    say_outcomes(stop_works(run, works, timeout) if works else [stop_run(run, partial(click.echo, err=True))])
