"""`lightning-lite restart`: gives works new processes."""

from __future__ import annotations

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.options import BadInput, examples, plain_option, root_option, timeout_option
from lightning_lite.cli.output import say_outcomes
from lightning_lite.cli.targets import find_works
from lightning_lite.monitor.control import restart_works


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
    say_outcomes(restart_works(run, works, timeout))
