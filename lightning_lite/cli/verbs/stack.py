"""`lightning-lite stack`: what a work, or the flow, is doing."""

from __future__ import annotations

import os
import re
from threading import Event
from time import monotonic

import click

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.control import check_is_here, find_works
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.cli.targets import find_target
from lightning_lite.errors import CommandError
from lightning_lite.runners.command_channel import ask

#: Seconds that a work may take to write its stacks: its machine may be busy.
_PATIENCE = 10.0

#: Seconds without a further line after which the stacks are whole; they are written in one go.
_QUIET = 0.25

_FIRST = re.compile(r"^(Current thread|Thread) ")
_STACK = re.compile(
    r"^(Current thread |Thread |  File |  \.\.\.|  <|Extension modules:|Stack \(most recent|$)"
)


@click.command(
    "stack", cls=Command, epilog=examples("stack train", "stack 9f3ac2 train", "stack      (the flow)")
)
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@root_option
@plain_option
def command(root: str, target: tuple[str, ...]) -> None:
    """Show the Python stacks of works, also of one that hangs; without a work that of the flow.

    The innermost call of a work stands first, that of the flow last. Works write them themselves, so they
    are in their logs, too.
    """
    run, words = find_target(root, target, running=True)
    if not words or words == ("root",):
        stack = ask(run.path, "stack")["stack"].rstrip("\n")
        say(f"root ({run.app}):\n{stack}")
        return
    run, works = find_works(root, target)
    for name, place in works.items():
        if place is None:
            raise CommandError(f"{name} has no process now")
        check_is_here(name, place)
        log = os.path.join(run.path, "logs", f"{name}.log")
        size = os.path.getsize(log) if os.path.exists(log) else 0
        ask(run.path, "stack", work=name)
        lines = _read_stacks(log, size)
        if not lines:
            raise CommandError(f"{name} ({place}) has written no stacks within {_PATIENCE:g} s")
        say("\n".join([f"{name} ({place}):", *lines]))


def _read_stacks(log: str, place: int) -> list[str]:
    """Return the stacks after a place of a log, without other lines that the work prints."""
    pause, until = Event(), monotonic() + _PATIENCE
    found: list[str] = []
    while monotonic() < until:
        pause.wait(_QUIET)
        before, found = found, _stacks_in(log, place)
        if found and found == before:
            return found
    return found


def _stacks_in(log: str, place: int) -> list[str]:
    try:
        with open(log, "rb") as file:
            file.seek(place)
            lines = file.read().decode("utf-8", "backslashreplace").splitlines()
    except FileNotFoundError:
        return []
    while lines and not _FIRST.match(lines[0]):
        del lines[0]
    return [line for line in lines if _STACK.match(line)]
