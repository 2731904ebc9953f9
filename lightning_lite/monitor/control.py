"""Controls a running app from another process: through its command channel, or with signals if it has none.

Each command waits for its effect, and returns the outcome as a sentence.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from functools import partial
from threading import Event
from time import monotonic
from typing import NamedTuple

import psutil

from lightning_lite.errors import CommandError, JournalInUse
from lightning_lite.monitor.run_status import CLOCK_TOLERANCE
from lightning_lite.process_places import Place
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary, read_run
from lightning_lite.runs.folder import note_end
from lightning_lite.runs.lock import RunLock

#: Seconds to wait for the answer of a run that may have been suspended.
ANSWER_TIMEOUT = 5.0

#: Seconds to wait until a run has ended, or a killed process has exited.
_EXIT_TIMEOUT = 30.0

#: Seconds after which a command says that it waits: works have 5 s to end, so most runs have ended by then.
_PATIENCE = 6.0

#: Seconds to wait for a new process, after the time for the old one to end.
_START_TIMEOUT = 10.0

#: Seconds between two checks of a condition for which there is no event.
_INTERVAL = 0.02


class Outcome(NamedTuple):
    """The outcome of a command.

    Attributes:
        text: One sentence without a period, as `root.train: stopped`.
        is_expected: Whether the user asked for it; else the sentence says what happened in its place.
    """

    text: str
    is_expected: bool = True


def stop_run(run: RunSummary, notify: Callable[[str], object] = lambda text: None) -> Outcome:
    """End a run in order, and wait until its process has ended.

    Args:
        run: The run.
        notify: Gets a sentence if the run has not ended after a few seconds.

    Raises:
        CommandError: It has not ended in time, or its process is not visible here.
        OSError: Its process belongs to another user.
    """
    end_in_order(run)
    if not wait_until(partial(has_ended, run), _PATIENCE):
        late = f"run {run.id} has not ended yet"
        advice = f"`lightning-lite kill {run.id}` ends it at once"
        notify(f"{late}; waiting {_EXIT_TIMEOUT - _PATIENCE:g} s more. {advice}.")
        if not wait_until(partial(has_ended, run), _EXIT_TIMEOUT - _PATIENCE):
            raise CommandError(f"{late}; {advice}")
    return Outcome(f"{run.id}: {read_run(run.path).state}")


def kill_run(run: RunSummary) -> Outcome:
    """End the process of a run and its works at once, and note that in its `run.json`.

    Raises:
        CommandError: A process hangs, or the process of the run is not visible here.
        psutil.Error: The process belongs to another user, or has ended.
    """
    process = find_process(run)
    family = process.children(recursive=True)
    process.kill()
    if not wait_until(partial(has_ended, run), _EXIT_TIMEOUT):
        raise CommandError(f"run {run.id} (process {process.pid}) was killed, but hangs in the kernel")
    _, left = psutil.wait_procs(family, timeout=_EXIT_TIMEOUT)
    if left:
        pids = ", ".join(str(one.pid) for one in left)
        raise CommandError(f"run {run.id} was killed, but processes that it started still run: {pids}")
    lock = RunLock(run.path)
    try:
        lock.acquire()
    except JournalInUse:
        return Outcome(f"{run.id}: killed; another process has resumed it")
    try:
        note_end(run.path, "killed")
    finally:
        lock.release()
    return Outcome(f"{run.id}: killed")


def stop_works(run: RunSummary, works: Mapping[str, Place | None], timeout: float) -> Iterator[Outcome]:
    """Stop works in order, all at the same time, and yield the result for each.

    Args:
        run: The run.
        works: The places of the processes of the works, by name.
        timeout: Seconds that a work has to end before it is killed.

    Raises:
        CommandError: The app does not answer, or a killed process does not exit.
    """
    for name in works:
        ask(run.path, "stop", work=name, timeout=timeout)
    for name, place in works.items():
        if runs_inline(run, place):
            yield Outcome(f"{name}: asked to stop; it does so at its next change of state")
        elif wait_until(partial(has_exited, run, name, place), timeout):
            yield Outcome(f"{name}: stopped")
        else:
            ask(run.path, "kill", work=name)  # the app kills it too, but not while its flow is busy
            wait_for_exit(run, name, place)
            yield Outcome(f"{name}: killed, because it did not end within {timeout:g} s", is_expected=False)


def kill_works(run: RunSummary, works: Mapping[str, Place | None]) -> Iterator[Outcome]:
    """Kill the processes of works, and yield the result for each.

    Raises:
        CommandError: The app does not answer, or a process does not exit.
    """
    for name in works:
        ask(run.path, "kill", work=name)
    for name, place in works.items():
        wait_for_exit(run, name, place)
        yield Outcome(f"{name}: killed")


def restart_works(run: RunSummary, works: Mapping[str, Place | None], timeout: float) -> Iterator[Outcome]:
    """End the processes of works in order, let the app start new ones, and yield the result for each.

    Args:
        run: The run.
        works: The places of the processes of the works, by name.
        timeout: Seconds that a work has to end before it is killed.

    Raises:
        CommandError: The app does not answer, or a process does not end.
    """
    for name in works:
        ask(run.path, "restart", work=name, timeout=timeout)
    for name, place in works.items():
        if runs_inline(run, place):
            yield Outcome(f"{name}: asked to restart; it does so at its next change of state")
            continue
        if not wait_until(partial(has_exited, run, name, place), timeout + _START_TIMEOUT):
            raise CommandError(f"{name} ({place}) does not end: the flow is busy; kill it instead")
        if wait_until(partial(_has_new_process, run, name, place), _START_TIMEOUT):
            yield Outcome(f"{name}: restarted, {read_places(run).get(name)}")
        else:
            text = f"{name}: ended; the flow is busy, and starts the new process after its pass"
            yield Outcome(text, is_expected=False)


def _has_new_process(run: RunSummary, name: str, old: Place | None) -> bool:
    return read_places(run).get(name, old) != old


def check_is_here(run: RunSummary, name: str, place: Place | None) -> None:
    """Refuse a work of an app on another host: its process id means another process here.

    A work that the app itself has on another host is no problem, because the app executes the command.

    Raises:
        CommandError: Its app is on another host.
    """
    app = run.holder.place if run.holder is not None else None
    if place is not None and not place.is_here() and (app is None or not app.is_here()):
        raise CommandError(f"{name} runs on another host ({place}). Run the command there.")


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


def is_held_by(run: RunSummary, place: Place) -> bool:
    """Return whether a process has taken a run, which it does before it resumes the run.

    Args:
        run: The run.
        place: The place of the process. Another host may have one with the same id, so the host counts.
    """
    holder = read_run(run.path).holder
    return holder is not None and holder.place == place


def is_gone(pid: int) -> bool:
    """Return whether a process has ended."""
    with suppress(psutil.Error):
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    return True


def wait_for_exit(run: RunSummary, name: str, place: Place | None) -> None:
    """Wait until the killed process of a work has exited.

    Args:
        run: The run.
        name: Name of the work.
        place: Place of its process, or `None` if it had none.

    Raises:
        CommandError: The process has not exited.
    """
    if not wait_until(partial(has_exited, run, name, place), _EXIT_TIMEOUT):
        is_remote = place is not None and not place.is_here()
        trouble = "its host has not reported its end yet" if is_remote else "hangs in the kernel"
        raise CommandError(f"{name} ({place}) was killed, but {trouble}")


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
        CommandError: The process is not visible here: it runs in another container or on another host.
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
    raise CommandError(
        f"Process of run {run.id}{where} is not visible here (other container or host?). "
        "Run the command there."
    )


def end_in_order(run: RunSummary) -> None:
    """End a run as SIGTERM does, even if it takes no commands.

    Raises:
        CommandError: Its process is not visible here.
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
    with suppress(CommandError, psutil.Error):
        return bool(find_process(run).status() == psutil.STATUS_STOPPED)
    return False
