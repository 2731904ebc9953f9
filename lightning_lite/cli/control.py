"""The works of a running app that a verb controls, and the option for the time that they have to end."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import click

from lightning_lite import timeouts
from lightning_lite.cli.output import say
from lightning_lite.cli.targets import find_target, find_work
from lightning_lite.errors import CommandError
from lightning_lite.monitor.control import Outcome
from lightning_lite.monitor.run_status import read_status
from lightning_lite.places import Place
from lightning_lite.runs.catalog import RunSummary

timeout_option = click.option(
    "-t",
    "--timeout",
    type=click.FloatRange(min=0),
    default=timeouts.STOP_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="Time that a work has to end before it is killed.",
)


def find_works(root: str, words: Sequence[str]) -> tuple[RunSummary, dict[str, Place | None]]:
    """Return the running run and the works that the user named, with the places of their processes.

    Raises:
        BadInput: There is no such run or work, or the run has ended.
        CommandError: The run does not answer.
    """
    run, texts = find_target(root, words, running=True)
    if not texts:
        return run, {}
    status = read_status(run, journal=False)
    if not status.is_answering:
        raise CommandError(status.trouble)
    places = {work.name: work.place for work in status.works}
    return run, {name: places[name] for name in (find_work(run.id, text, places) for text in texts)}


def say_outcomes(outcomes: Iterable[Outcome]) -> None:
    """Print what happened to each work, as soon as it is known."""
    for outcome in outcomes:
        say(outcome.text, "" if outcome.is_expected else "yellow")
