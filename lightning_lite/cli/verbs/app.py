"""`lightning-lite app`: gives a command to an app."""

from __future__ import annotations

import click

from lightning_lite.cli.app_commands import give_command
from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import BadInput, examples, plain_option, root_option
from lightning_lite.cli.targets import find_run, find_running, list_with_names


@click.command(
    "app",
    cls=Command,
    epilog=examples("app add_name --name=Ada", "app --run lr-0.1 stop --now=1"),
    context_settings={"allow_interspersed_args": False},
)
@click.option("--run", metavar="RUN", shell_complete=complete_runs, help="The run; by default the only one.")
@root_option
@plain_option
@click.argument("name", metavar="NAME")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[--OPTION=VALUE]...")
def command(run: str | None, root: str, name: str, words: tuple[str, ...]) -> None:
    """Give the command NAME to an app that runs.

    `lightning-lite NAME` is shorter, if only one app runs and NAME is not a verb. `lightning-lite connect`
    shows the commands of an app.
    """
    if run is None and len(running := find_running(root)) > 1:
        raise BadInput(
            f"{len(running)} apps are running; name the run of one: lightning-lite app --run RUN {name}. "
            f"They are {list_with_names(running)}."
        )
    give_command(find_run(root, run, running=True), name, words)
