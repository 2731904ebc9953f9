"""The Python stacks of a running app: of its flow, and of works, which write them to their logs."""

from __future__ import annotations

import os
import re
from threading import Event
from time import monotonic

from lightning_lite.errors import CommandError
from lightning_lite.monitor.control import check_is_here
from lightning_lite.process_places import Place
from lightning_lite.regular_files import open_regular
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary

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


def read_flow_stack(run: RunSummary) -> str:
    """Return the stack of the flow, the innermost call last; a last line says if the flow waits.

    Raises:
        CommandError: The app does not answer.
    """
    return str(ask(run.path, "stack")["stack"]).rstrip("\n")


def read_work_stacks(run: RunSummary, name: str, place: Place | None) -> str:
    """Let a work write the stacks of its threads, and return them, the innermost call first.

    Args:
        run: The run.
        name: Name of the work.
        place: Place of its process, or `None` if it has none.

    Raises:
        CommandError: The work has no process, is on another host, or has written no stacks in time.
        OSError: Its log can't be read.
    """
    if place is None:
        raise CommandError(f"{name} has no process now")
    check_is_here(run, name, place)
    log = os.path.join(run.path, "logs", f"{name}.log")
    size = _size_of(log)
    ask(run.path, "stack", work=name)
    lines = _read_stacks(log, size)
    if not lines:
        raise CommandError(f"{name} ({place}) has written no stacks within {_WRITE_TIMEOUT:g} s")
    return "\n".join(lines)


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
