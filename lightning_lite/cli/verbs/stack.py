"""`lightning-lite stack`: the Python stacks of works or of the flow."""

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
from lightning_lite.regular_files import open_regular
from lightning_lite.runners.command_channel import ask

#: Seconds to wait until a work has written its stacks; the machine may be busy.
_WRITE_TIMEOUT = 10.0

#: Seconds without a new line after which the stacks are complete; a work writes them without a break.
_QUIET = 0.25

#: Maximum of bytes that are read.
_MOST = 16 * 1024 * 1024

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
    """Show the Python stacks of works, even if they hang; without WORK, the stack of the flow.

    For a work, the innermost call is first; for the flow, it is last. A work writes its stacks to its output,
    so they are also in its log.
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
        size = _size_of(log)
        ask(run.path, "stack", work=name)
        lines = _read_stacks(log, size)
        if not lines:
            raise CommandError(f"{name} ({place}) has written no stacks within {_WRITE_TIMEOUT:g} s")
        say("\n".join([f"{name} ({place}):", *lines]))


def _size_of(log: str) -> int:
    try:
        return os.lstat(log).st_size
    except FileNotFoundError:
        return 0


def _read_stacks(log: str, place: int) -> list[str]:
    """Return the stacks behind a position in a log, without other output of the work."""
    pause, until = Event(), monotonic() + _WRITE_TIMEOUT
    found: list[str] = []
    while monotonic() < until:
        pause.wait(_QUIET)
        before, found = found, _stacks_in(log, place)
        if found and found == before:
            return found
    return found


def _stacks_in(log: str, place: int) -> list[str]:
    try:
        with open(open_regular(log), "rb") as file:
            file.seek(place)
            lines = file.read(_MOST).decode("utf-8", "backslashreplace").splitlines()
    except FileNotFoundError:
        return []
    while lines and not _FIRST.match(lines[0]):
        del lines[0]
    return [line for line in lines if _STACK.match(line)]
