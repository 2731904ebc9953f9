"""`lightning-lite kill`: ends a run or works at once."""

from __future__ import annotations

from functools import partial

import click
import psutil

from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.completion import complete_targets
from lightning_lite.cli.control import (
    check_is_here,
    find_process,
    find_works,
    has_ended,
    wait_for_exit,
    wait_until,
)
from lightning_lite.cli.options import examples, plain_option, root_option
from lightning_lite.cli.output import say
from lightning_lite.errors import CommandError, JournalInUse
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.runs.folder import note_end
from lightning_lite.runs.lock import RunLock

#: Seconds to wait until a killed process has exited.
_EXIT_TIMEOUT = 30.0


@click.command("kill", cls=Command, epilog=examples("kill", "kill 9f3ac2", "kill train"))
@click.argument("target", nargs=-1, shell_complete=complete_targets, metavar="[RUN] [WORK]...")
@root_option
@plain_option
def command(root: str, target: tuple[str, ...]) -> None:
    """End a run, or some of its works, at once, even if they hang.

    Nothing is cleaned up: the process of the app gets SIGKILL, and its works end with it. The journal is
    whole, so the run can be resumed.
    """
    run, works = find_works(root, target)
    if not works:
        _kill_run(run)
        return
    for name, place in works.items():
        check_is_here(name, place)
    for name in works:
        ask(run.path, "kill", work=name)
    for name, place in works.items():
        wait_for_exit(run, name, place, _EXIT_TIMEOUT)
        say(f"{name}: killed")


def _kill_run(run: RunSummary) -> None:
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
        return  # another process has resumed it
    try:
        note_end(run.path, "killed")
    finally:
        lock.release()
    say(f"{run.id}: killed")
