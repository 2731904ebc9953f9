"""`lightning-lite connect`: shows the commands of an app."""

from __future__ import annotations

import click

from lightning_lite.cli.app_commands import read_commands
from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.cli.targets import find_run
from lightning_lite.verbs import command_line_of

#: Words of Lightning App that do not name a run.
_OLD_WORDS = ("app", "localhost")


@click.command("connect", cls=Command, epilog=examples("connect", "connect 9f3ac2", "add_name --name=Ada"))
@click.argument("run", nargs=-1, shell_complete=complete_runs, metavar="[RUN]")
@root_option
@plain_option
def command(root: str, run: tuple[str, ...]) -> None:
    """Show the commands of the app that runs, which are verbs as long as it runs.

    No connection is needed: `lightning-lite NAME --option=value` gives the command to the app that runs, and
    `lightning-lite app --run RUN NAME --option=value` to one of several.
    """
    words = [word for word in run if word not in _OLD_WORDS]
    found = find_run(root, words[0] if words else None, running=True)
    commands = read_commands(found)
    if not commands:
        say(f"The app of run {found.id} has no commands.")
    for each in commands:
        options = " ".join(f"--{option}=..." for option in each.options)
        say(f"{command_line_of(each.name)} {options}".rstrip() + (f"  {each.about}" if each.about else ""))
