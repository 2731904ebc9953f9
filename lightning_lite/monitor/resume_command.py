"""The command that resumes a run: that with which it was started, if it can be started again."""

from __future__ import annotations

import shlex
import sys
from typing import NamedTuple

from lightning_lite import settings
from lightning_lite.errors import CommandError, JournalError, RootRefused
from lightning_lite.masking import MASK
from lightning_lite.runs.catalog import RunSummary, load_details_to_resume
from lightning_lite.runs.journal_format import has_journal
from lightning_lite.runs.recorded_command import starts_script


class ResumeCommand(NamedTuple):
    """The command that resumes a run.

    Attributes:
        argv: The program, by its path, and its arguments.
        cwd: The working directory.
        variables: Variables to add to the environment.
    """

    argv: list[str]
    cwd: str
    variables: dict[str, str]


def resume_command(run: RunSummary, root: str, *, retry_failed: bool) -> ResumeCommand:
    """Return the command that resumes a run.

    Args:
        run: The run.
        root: Absolute folder that holds everything.
        retry_failed: Whether it runs failed calls again.

    Raises:
        CommandError: The run is still running, its flow has ended it, another user could have written what
            starts it, or its command can't be started again.
    """
    if run.state == "running":
        raise CommandError(f"run {run.id} can't be resumed: it is still running.")
    if run.trouble:
        raise CommandError(f"run {run.id} can't be resumed: {run.trouble}.")
    if not has_journal(run.path):
        raise CommandError(f"run {run.id} can't be resumed: it has no journal.")
    try:
        details = load_details_to_resume(run.path)
    except (RootRefused, JournalError) as error:
        raise CommandError(f"{error}.") from error
    if details.get("state") == "stopped":
        raise CommandError(f"run {run.id} can't be resumed: its flow has ended it.")
    given = details.get("command")
    argv = [str(word) for word in given] if isinstance(given, list) else []
    if not starts_script(argv):
        raise CommandError(
            f"run {run.id} can't be resumed here: its command ({shlex.join(argv) or '?'}) does not start a "
            f"script; call app.run(resume={run.id!r}) where the run was started."
        )
    if details.get("masked_arguments"):
        retry = f"{settings.RETRY_FAILED_VARIABLE}=1 " if retry_failed else ""
        raise CommandError(
            f"run {run.id} can't be resumed here: passwords or keys in its command were not stored. Start it "
            f"again with them in place of {MASK}: cd {shlex.quote(str(details.get('cwd')))} && "
            f"{settings.ROOT_VARIABLE}={shlex.quote(root)} {settings.RESUME_VARIABLE}={run.id} "
            f"{retry}{shlex.join(argv)}"
        )
    cwd = details.get("cwd")
    if not isinstance(cwd, str):
        raise CommandError(
            f"run {run.id} can't be resumed by its command: its working directory had been removed when it "
            f"started. Start the program yourself, with app.run(resume={run.id!r})."
        )
    variables = {settings.ROOT_VARIABLE: root, settings.RESUME_VARIABLE: run.id}
    if isinstance(drives := details.get("drives"), str):
        variables[settings.DRIVES_VARIABLE] = drives
    if retry_failed:
        variables[settings.RETRY_FAILED_VARIABLE] = "1"
    executable = str(details.get("executable") or sys.executable)
    return ResumeCommand([executable, *argv[1:]], cwd, variables)
