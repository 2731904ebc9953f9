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
from lightning_lite.cli.run_reader import look
from lightning_lite.cli.targets import find_target, find_work
from lightning_lite.errors import CommandError
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary, read_run

#: Seconds to wait for the answer of a run that may have been suspended.
ANSWER_TIMEOUT = 5.0

#: Seconds between two looks at something that gives no sign when it is over.
_PAUSE = 0.02

#: Seconds that a process may have begun after it has signed the lock of its run: clocks are read in turn.
_SLACK = 2.0

timeout_option = click.option(
    "-t",
    "--timeout",
    type=click.FloatRange(min=0),
    default=settings.STOP_TIMEOUT,
    show_default=True,
    metavar="SECONDS",
    help="Time that a work gets to end, before it is killed.",
)


def find_works(root: str, words: Sequence[str]) -> tuple[RunSummary, dict[str, int | None]]:
    """Return the run and the works that are meant, with the ids of their processes.

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
    pids = {work.name: work.pid for work in sight.works}
    return run, {name: pids[name] for name in (find_work(run.id, text, pids) for text in texts)}


def see_pids(run: RunSummary) -> dict[str, int]:
    """Return the ids of the processes of works now, by name; nothing if the run has ended."""
    try:
        return {row["name"]: row["pid"] for row in ask(run.path, "status")["works"] if row["pid"]}
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


def find_process(run: RunSummary) -> psutil.Process:
    """Return the process that holds a run.

    Raises:
        BadInput: The process is not visible here: it runs in another container or on another host.
    """
    holder = run.holder
    if holder is not None and holder.pid is not None and holder.host == os.uname().nodename:
        with suppress(psutil.Error, ValueError):
            process = psutil.Process(holder.pid)
            # The holder of a lock lives, but in another container it has another process id.
            if process.create_time() <= datetime.fromisoformat(holder.since or "").timestamp() + _SLACK:
                return process
    where = f" (process {holder.pid} on {holder.host})" if holder is not None and holder.pid else ""
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
