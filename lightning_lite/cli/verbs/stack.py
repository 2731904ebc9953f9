"""`lightning-lite stack`: the Python stacks of works or of the flow."""

from __future__ import annotations

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.cli.targets import find_target, find_works
from lightning_lite.monitor.stacks import read_flow_stack, read_work_stacks


@click.command(
    "stack", cls=Command, epilog=examples("stack train", "stack 9f3ac2 train", "stack      (the flow)")
)
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@root_option
@plain_option
def command(root: str, target: tuple[str, ...]) -> None:
    """Show the Python stacks of works, even if they hang; without WORK, the stack of the flow.

    For a work, the innermost call is first; for the flow, it is last. If the flow waits for a call, the stack
    ends with the line that asked for it, and says so. Between two passes, it ends with the line at which the
    last one was cut. A work writes its stacks to its output, so they are also in its log.
    """
    run, words = find_target(root, target, running=True)
    if not words or words == ("root",):
        say(f"root ({run.app}):\n{read_flow_stack(run)}")
        return
    run, works = find_works(root, target)
    for name, place in works.items():
        say(f"{name} ({place}):\n{read_work_stacks(run, name, place)}")
