"""Says how to resume a run that failed or was interrupted."""

from __future__ import annotations

import os
import shlex

from lightning_lite.errors import AppIdle, JournalCorrupt, SettingError, WorkingDirectoryGone
from lightning_lite.runs.catalog import can_resume, read_details
from lightning_lite.runs.recorded_command import starts_script
from lightning_lite.settings import resolve_root
from lightning_lite.tracebacks import add_note


def add_resume_note(error: BaseException, path: str, root: str) -> None:
    """Add a note to the exception that ended a run: the command that resumes it, if one can.

    Args:
        error: The exception. Python shows no notes of a `SystemExit`, which gets none.
        path: Folder of the run, which has ended.
        root: Absolute folder of all runs, as the user named it.
    """
    if isinstance(error, (JournalCorrupt, SystemExit)) or not can_resume(path):
        return
    run, command = os.path.basename(path), read_details(path).get("command")
    if not isinstance(command, list) or not starts_script([str(word) for word in command]):
        add_note(error, f"To resume this run: app.run(resume={run!r})")
        return
    options = " --retry-failed" if isinstance(error, AppIdle) and error.failed else ""
    if not _is_default(root):
        options += f" --root {shlex.quote(root)}"
    add_note(error, f"To resume this run: lightning-lite resume {run}{options}")


def _is_default(root: str) -> bool:
    """Return whether a command in this folder uses a root without `--root`, with this environment or none."""
    try:
        return root == resolve_root(None, {}) == resolve_root(None)
    except (WorkingDirectoryGone, SettingError):
        return False
