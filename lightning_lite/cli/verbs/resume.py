"""`lightning-lite resume`: resumes a run with the command that started it."""

from __future__ import annotations

import os
import shlex
import sys
from typing import NoReturn

import click

from lightning_lite.cli.click_classes import Command
from lightning_lite.cli.completion import complete_runs
from lightning_lite.cli.options import BadInput, check_root, examples, root_option
from lightning_lite.cli.targets import find_run
from lightning_lite.errors import CommandError, JournalError, RootRefused
from lightning_lite.harmless_text import harmless
from lightning_lite.monitor.resume_command import resume_command
from lightning_lite.runs.catalog import RunSummary, can_resume, check_own_run, has_begun, read_runs


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
    try:
        resumed = resume_command(found, root, retry_failed=retry_failed)
    except CommandError as error:
        raise BadInput(str(error)) from None
    click.echo(harmless(f"In {resumed.cwd}: {shlex.join(resumed.argv)}"), err=True)
    try:
        os.chdir(resumed.cwd)
        sys.stdout.flush()
        os.execve(resumed.argv[0], resumed.argv, os.environ | resumed.variables)
    except OSError as error:
        raise BadInput(f"run {found.id} can't be resumed: {error.strerror} ({error.filename}).") from error
    except ValueError as error:  # a path has characters that no path can have
        raise BadInput(f"run {found.id} can't be resumed: its run.json is damaged: {error}.") from error


def _choose(root: str) -> RunSummary:
    """Return the latest run that can be resumed, or that is damaged: an older one is not taken for it."""
    for run in read_runs(check_root(root))[::-1]:
        if run.state == "running":
            continue
        if not run.trouble:
            try:  # first: files of another user decide nothing
                check_own_run(run.path)
            except (RootRefused, JournalError) as error:
                raise BadInput(f"{error}.") from None
        if run.details.get("state") == "stopped":
            continue
        if can_resume(run.path) or has_begun(run.path):
            return run
    raise BadInput(f"there is no run in {root} to resume: each has ended or is still running.")
