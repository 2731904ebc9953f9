"""`lightning-lite resume`: resumes a run with the command that started it."""

from __future__ import annotations

import os
import shlex
import sys
from typing import NoReturn

import click

from lightning_lite import settings
from lightning_lite.cli.command_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import BadInput, check_root, examples, root_option
from lightning_lite.cli.targets import find_run
from lightning_lite.masking import MASK
from lightning_lite.runs.catalog import RunSummary, can_resume, read_runs
from lightning_lite.runs.command_line import starts_script
from lightning_lite.text import harmless


@click.command(
    "resume", cls=Command, epilog=examples("resume", "resume 9f3ac2", "resume 9f3ac2 --retry-failed")
)
@click.argument("run", required=False, shell_complete=complete_runs)
@click.option("--retry-failed", is_flag=True, help="Run failed calls again.")
@root_option
def command(root: str, run: str | None, retry_failed: bool) -> NoReturn:
    """Resume a run that failed, was interrupted or died; without RUN, the latest one.

    Calls that had ended are not run again. The program is started with its own command, in its first working
    directory, with the present environment.
    """
    found = _choose(root) if run is None else find_run(root, run)
    argv = _check(found, retry_failed)
    environment = os.environ | {settings.ROOT_VARIABLE: root, settings.RESUME_VARIABLE: found.id}
    if retry_failed:
        environment[settings.RETRY_FAILED_VARIABLE] = "1"
    cwd = found.details.get("cwd")
    if not isinstance(cwd, str):
        raise BadInput(
            f"run {found.id} can't be resumed by its command: its working directory had been removed when it "
            f"started. Start the program yourself, with app.run(resume={found.id!r})."
        )
    click.echo(harmless(f"In {cwd}: {shlex.join(argv)}"), err=True)
    try:
        os.chdir(cwd)
        sys.stdout.flush()
        os.execve(argv[0], argv, environment)
    except OSError as error:
        raise BadInput(f"run {found.id} can't be resumed: {error.strerror} ({error.filename}).") from error
    except ValueError as error:  # a path has characters that no path can have
        raise BadInput(f"run {found.id} can't be resumed: its run.json is damaged: {error}.") from error


def _choose(root: str) -> RunSummary:
    """Return the latest run that can be resumed."""
    for run in read_runs(check_root(root))[::-1]:
        if run.state != "running" and can_resume(run.path):
            return run
    raise BadInput(f"there is no run in {root} to resume: each has ended or is still running.")


def _check(run: RunSummary, retry_failed: bool) -> list[str]:
    """Return the command that resumes a run.

    Args:
        run: The run.
        retry_failed: Whether the command that an error shows runs failed calls again.

    Raises:
        BadInput: The run is still running, its flow has ended it, or its command can't be started again.
    """
    if run.state == "running":
        raise BadInput(f"run {run.id} can't be resumed: it is still running.")
    if not can_resume(run.path):
        why = "its flow has ended it" if run.details.get("state") == "stopped" else "it has no journal"
        raise BadInput(f"run {run.id} can't be resumed: {why}.")
    if run.trouble:
        raise BadInput(f"run {run.id} can't be resumed: {run.trouble}.")
    given = run.details.get("command")
    argv = [str(word) for word in given] if isinstance(given, list) else []
    if not starts_script(argv):
        raise BadInput(
            f"run {run.id} can't be resumed here: its command ({shlex.join(argv) or '?'}) does not start a "
            f"script; call app.run(resume={run.id!r}) where the run was started."
        )
    if run.details.get("masked_arguments"):
        root = os.path.dirname(os.path.dirname(run.path))
        retry = f"{settings.RETRY_FAILED_VARIABLE}=1 " if retry_failed else ""
        raise BadInput(
            f"run {run.id} can't be resumed here: passwords or keys in its command were not stored. Start it "
            f"again with them in place of {MASK}: cd {shlex.quote(str(run.details.get('cwd')))} && "
            f"{settings.ROOT_VARIABLE}={shlex.quote(root)} {settings.RESUME_VARIABLE}={run.id} "
            f"{retry}{shlex.join(argv)}"
        )
    return [str(run.details.get("executable") or sys.executable), *argv[1:]]
