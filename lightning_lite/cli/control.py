"""Controls a run: through its command channel, or with signals if it has none."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Event
from time import monotonic

import click
import psutil

from lightning_lite import timing
from lightning_lite.cli.options import BadInput
from lightning_lite.cli.run_reader import CLOCK_TOLERANCE, read_status
from lightning_lite.cli.targets import find_target, find_work
from lightning_lite.errors import CommandError
from lightning_lite.places import Place
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary, read_run

#: Seconds to wait for the answer of a run that may have been suspended.
ANSWER_TIMEOUT = 5.0

#: Seconds between two checks of a condition for which there is no event.
_INTERVAL = 0.02

timeout_option = click.option(
    "-t",
    "--timeout",
    type=click.FloatRange(min=0),
    default=timing.STOP_TIMEOUT,
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


def check_is_here(name: str, place: Place | None) -> None:
    """Refuse a work whose process is on another host: its process id means another process here.

    Raises:
        BadInput: It is on another host.
    """
    if place is not None and not place.is_here():
        raise BadInput(f"{name} runs on another host ({place}). Run the command there.")


def read_places(run: RunSummary) -> dict[str, Place]:
    """Return the present places of the processes of works, by name; an empty dict if the run has ended."""
    try:
        works = ask(run.path, "status")["works"]
        return {row["name"]: Place(*row["place"]) for row in works if row["place"]}
    except CommandError:
        if read_run(run.path).state == "running":
            raise
        return {}


def wait_until(condition: Callable[[], bool], timeout: float) -> bool:
    """Return whether `condition` becomes true within `timeout` seconds."""
    until = monotonic() + timeout
    pause = Event()
    while not condition():
        if monotonic() >= until:
            return False
        pause.wait(_INTERVAL)
    return True


def has_ended(run: RunSummary) -> bool:
    """Return whether the process of a run has ended."""
    return read_run(run.path).state != "running"


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def wait_for_exit(run: RunSummary, name: str, place: Place | None, timeout: float) -> None:
    """Wait until the killed process of a work has exited.

    Args:
        run: The run.
        name: Name of the work.
        place: Place of its process, or `None` if it had none.
        timeout: Maximum of seconds to wait.

    Raises:
        CommandError: The process has not exited.
    """
    if not wait_until(partial(has_exited, run, name, place), timeout):
        raise CommandError(f"{name} ({place}) was killed, but hangs in the kernel")


def has_exited(run: RunSummary, name: str, place: Place | None) -> bool:
    """Return whether a work has no process any more; if that was on another host, the app is asked."""
    if place is None:
        return True
    return is_gone(place.pid) if place.is_here() else read_places(run).get(name) != place


def runs_inline(run: RunSummary, place: Place | None) -> bool:
    """Return whether a work runs in the process of its run, as with the inline runner."""
    return run.holder is not None and place == run.holder.place


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
            # In another container the holder has another process id, and this id may be a stranger's.
            locked = datetime.fromisoformat(holder.since or "").timestamp()
            if process.create_time() <= locked + CLOCK_TOLERANCE:
                return process
    where = f" (process {place.pid} on {place.host})" if place is not None else ""
    raise BadInput(
        f"Process of run {run.id}{where} is not visible here (other container or host?). "
        "Run the command there."
    )


def end_in_order(run: RunSummary) -> None:
    """End a run as SIGTERM does, even if it takes no commands.

    Raises:
        BadInput: Its process is not visible here.
        OSError: Its process belongs to another user.
    """
    try:
        # A suspended process would read the command after SIGCONT, together with the SIGTERM below, and a
        # second request ends a run at once.
        if _is_suspended(run):
            raise CommandError("the process is suspended")
        ask(run.path, "stop", ANSWER_TIMEOUT)
    except CommandError:
        if not has_ended(run):
            pid = find_process(run).pid
            os.kill(pid, signal.SIGTERM)
            os.kill(pid, signal.SIGCONT)


def _is_suspended(run: RunSummary) -> bool:
    """Return whether the process of a run is suspended, for example by Ctrl-Z."""
    with suppress(BadInput, psutil.Error):
        return bool(find_process(run).status() == psutil.STATUS_STOPPED)
    return False
