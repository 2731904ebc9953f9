"""`lightning-lite app`: gives a command to an app."""

from __future__ import annotations

import click

from lightning_lite.cli.app_commands import give_command
from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import BadInput, examples, plain_option, root_option
from lightning_lite.cli.targets import find_run, find_running, list_with_names
from lightning_lite.errors import LightningLiteError
from lightning_lite.settings import resolve_root


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


def command_named(name: str) -> click.Command | None:
    """Return the command line of a word that is not a verb: a command of the only app that runs.

    Returns:
        The command line, or `None` if no app runs.

    Raises:
        BadInput: Several apps run.
    """
    try:
        runs = find_running(resolve_root(None))
    except (BadInput, LightningLiteError):
        return None
    if not runs:
        return None
    if len(runs) > 1:
        raise BadInput(
            f"there is no verb {name!r}. For a command of an app, name its run, because {len(runs)} are "
            f"running: lightning-lite app --run RUN {name}. They are {list_with_names(runs)}."
        )

    def execute(words: tuple[str, ...]) -> None:
        give_command(runs[0], name, words, may_be_verb=True)

    return Command(
        name,
        params=[click.Argument(["words"], nargs=-1, type=click.UNPROCESSED)],
        callback=execute,
        context_settings={"ignore_unknown_options": True, "help_option_names": []},
    )
