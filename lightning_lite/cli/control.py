"""How the verbs that change something reach a run: by its channel, or where it has none by signals."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from threading import Event
from time import monotonic

import click
import psutil

from lightning_lite import settings
from lightning_lite.cli.options import BadInput
from lightning_lite.cli.run_reader import SLACK, look
from lightning_lite.cli.targets import find_target, find_work
from lightning_lite.errors import CommandError
from lightning_lite.places import Place
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary, read_run

#: Seconds to wait for the answer of a run that may have been suspended.
ANSWER_TIMEOUT = 5.0

#: Seconds between two looks at something that gives no sign when it is over.
_PAUSE = 0.02

timeout_option = click.option(
    "-t",
    "--timeout",
    type=click.FloatRange(min=0),
    default=settings.STOP_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="Time that a work gets to end, before it is killed.",
)


def find_works(root: str, words: Sequence[str]) -> tuple[RunSummary, dict[str, Place | None]]:
    """Return the run and the works that are meant, with the places of their processes.

    Raises:
        BadInput: There is no such run or work, or the run does not go on.
        CommandError: The run does not answer.
    """
    run, texts = find_target(root, words, running=True)
    if not texts:
        return run, {}
    sight = look(run, journal=False)
    if not sight.is_answering:
        raise CommandError(sight.trouble)
    places = {work.name: work.place for work in sight.works}
    return run, {name: places[name] for name in (find_work(run.id, text, places) for text in texts)}


def check_is_here(name: str, place: Place | None) -> None:
    """Refuse a work whose process is on another host: its process id means another process here.

    Raises:
        BadInput: It is on another host.
    """
    if place is not None and not place.is_here():
        raise BadInput(f"{name} runs on another host ({place}). Run the command there.")


def find_places(run: RunSummary) -> dict[str, Place]:
    """Return the places of the processes of works now, by name; nothing if the run has ended."""
    try:
        works = ask(run.path, "status")["works"]
        return {row["name"]: Place(*row["place"]) for row in works if row["place"]}
    except CommandError:
        if read_run(run.path).state == "running":
            raise
        return {}


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Return whether `condition` has become true within some seconds."""
    until = monotonic() + timeout
    pause = Event()
    while not condition():
        if monotonic() >= until:
            return False
        pause.wait(_PAUSE)
    return True


def has_ended(run: RunSummary) -> bool:
    """Return whether no process runs a run any more."""
    return read_run(run.path).state != "running"


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def has_exited(run: RunSummary, name: str, place: Place) -> bool:
    """Return whether the process of a work has ended; if it is on another host, the app is asked."""
    return is_gone(place.pid) if place.is_here() else find_places(run).get(name) != place


def find_process(run: RunSummary) -> psutil.Process:
    """Return the process that holds a run.

    Raises:
        BadInput: The process is not visible here: it runs in another container or on another host.
    """
    holder = run.holder
    place = holder.place if holder is not None else None
    if holder is not None and place is not None and place.is_here():
        with suppress(psutil.Error, ValueError):
            process = psutil.Process(place.pid)
            # The holder of a lock lives, but in another container it has another process id.
            if process.create_time() <= datetime.fromisoformat(holder.since or "").timestamp() + SLACK:
                return process
    where = f" (process {place.pid} on {place.host})" if place is not None else ""
    raise BadInput(
        f"Process of run {run.id}{where} is not visible here (other container or host?). "
        "Run the command there."
    )


def end_in_order(run: RunSummary) -> None:
    """Let a run end as by SIGTERM, whether it takes commands or not.

    Raises:
        BadInput: Its process is not visible here.
        OSError: It is another user's.
    """
    try:
        if _is_suspended(run):  # after SIGCONT it would get both requests, and the second means: at once
            raise CommandError("the process is suspended")
        ask(run.path, "stop", ANSWER_TIMEOUT)
    except CommandError:
        if not has_ended(run):
            pid = find_process(run).pid
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)


def _is_suspended(run: RunSummary) -> bool:
    """Return whether its process is suspended, as by Ctrl-Z."""
    with suppress(BadInput, psutil.Error):
        return bool(find_process(run).status() == psutil.STATUS_STOPPED)
    return False
