"""`lightning-lite disconnect`: accepted for old scripts."""

from __future__ import annotations

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.options import examples, plain_option
from lightning_lite.cli.output import say


@click.command("disconnect", cls=Command, epilog=examples("disconnect"))
@click.argument("words", nargs=-1, metavar="[app]")
@plain_option
def command(words: tuple[str, ...]) -> None:
    """Do nothing: commands go to the app that runs, without a connection."""
    say("There is no connection to end: commands go to the app that runs.")
