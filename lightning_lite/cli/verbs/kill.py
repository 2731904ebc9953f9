"""`lightning-lite kill`: ends a run or works at once."""

from __future__ import annotations

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say_outcomes
from lightning_lite.cli.targets import find_works
from lightning_lite.monitor.control import check_is_here, kill_run, kill_works


@click.command("kill", cls=Command, epilog=examples("kill", "kill 9f3ac2", "kill train"))
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@root_option
@plain_option
def command(root: str, target: tuple[str, ...]) -> None:
    """End a run, or some of its works, at once, even if they hang.

    Nothing is cleaned up. If only works are killed, their processes get SIGKILL, and the app continues. If
    the run is killed, the process of the app gets it, and its works end with it; the journal is whole, so the
    run can be resumed.
    """
    run, works = find_works(root, target)
    for name, place in works.items():
        check_is_here(run, name, place)
    say_outcomes(kill_works(run, works) if works else [kill_run(run)])
