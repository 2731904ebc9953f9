"""Lists the runs below a root, describes each one, and finds the run to resume.

Nothing here opens a journal: `run.json` and the lock of a run are enough.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import suppress
from datetime import datetime
from time import time
from typing import Any, NamedTuple

from lightning_lite.errors import NothingToResume
from lightning_lite.root_access import PRIVATE, opened, own_root
from lightning_lite.runs.journal_format import has_journal
from lightning_lite.runs.lock import Holder, find_holder
from lightning_lite.text import one_line

_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{9}-[0-9a-f]{6}")

#: Seconds within which a new run takes its lock.
_GRACE = 5.0


class RunSummary(NamedTuple):
    """What `run.json` and the lock of one run say.

    Attributes:
        id: Id of the run.
        path: Absolute path of its folder.
        details: The content of its `run.json`; empty if that can't be read.
        state: `running`; `stopped` by its flow; `failed`; `interrupted` by a signal or from another terminal;
            `killed` from another terminal; `died` if its process ended without a note; `unknown`.
        holder: The process that runs it, or `None`.
    """

    id: str
    path: str
    details: dict[str, Any]
    state: str
    holder: Holder | None

    @property
    def app(self) -> str:
        """Name of the app."""
        return str(self.details.get("app", "?"))

    @property
    def started(self) -> float | None:
        """Time of the start, in seconds since 1970."""
        return _seconds(self.details.get("started"))

    @property
    def ended(self) -> float | None:
        """Time of the end, in seconds since 1970; `None` if it is not known."""
        return _seconds(self.details.get("ended"))

    @property
    def error(self) -> str | None:
        """The error of a failed run, in one line, if the run recorded it."""
        error = self.details.get("error")
        return error if self.state == "failed" and isinstance(error, str) else None


def read_runs(root: str) -> list[RunSummary]:
    """Return the summaries of all runs of a root, the oldest first.

    Args:
        root: Absolute folder that holds everything.

    Raises:
        RootRefused: Another user could have written into the root.
        OSError: This user may not read one of them.
    """
    runs = runs_folder(root)
    return [read_run(os.path.join(runs, name)) for name in list_runs(runs)]


def read_run(path: str) -> RunSummary:
    """Return the summary of a run.

    The lock says whether a run is still running. Its pid does not: the system may have given that number to
    another process.

    Args:
        path: Absolute path of the folder of the run.

    Raises:
        OSError: This user may not read the folder.
    """
    holder = find_holder(path)
    # Read after the lock: a process writes how its run ended before it releases the lock.
    details = read_details(path)
    state = str(details.get("state", "unknown"))
    if holder is not None:
        state = "running"
    elif state == "running":
        begun = _seconds(details.get("resumed") or details.get("started"))
        is_starting = begun is not None and 0 <= time() - begun < _GRACE and not has_journal(path)
        state = "running" if is_starting else "died"
    return RunSummary(os.path.basename(path), path, details, state, holder)


def runs_folder(root: str) -> str:
    """Return the folder of the runs of this user, after a check of all folders above it; it may be missing.

    In a group root each user has one: <root>/users/<uid>/runs.

    Args:
        root: Absolute folder that holds everything.

    Raises:
        RootRefused: Another user could have written into one of these folders.
        OSError: One of them can't be opened.
    """
    own = root
    with suppress(NotADirectoryError):  # there are no runs in a file
        own = own_root(root)
        with opened(own, ("runs",), mode=PRIVATE):
            pass
    return os.path.join(own, "runs")


def list_runs(runs: str) -> list[str]:
    """Return the ids of the runs in a folder, the oldest first."""
    try:
        names = os.listdir(runs)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(filter(_RUN_ID.fullmatch, names))


def run_path(root: str, run_id: str) -> str:
    """Return the folder of a run.

    Args:
        root: Absolute folder that holds everything.
        run_id: Id of the run, as in `RunFolder.id`.

    Raises:
        NothingToResume: There is no such run.
        RootRefused: Another user could have written into the root or into the run.
    """
    runs = runs_folder(root)
    if _RUN_ID.fullmatch(run_id) is None or not os.path.isdir(path := os.path.join(runs, run_id)):
        raise NothingToResume(
            f"there is no run {one_line(run_id)!r}; the runs are named like the folders in {runs!r}",
            run_id=run_id,
            root=root,
        )
    _check_run(path)
    return path


def find_resumable(root: str, identity: str) -> str | None:
    """Return the folder of the latest run of an app that `flow.stop` did not end, or `None`.

    A run that is still running counts: `Journal.open` then refuses it and names its process. If it did not
    count, a second run would start next to it.

    Args:
        root: Absolute folder that holds everything.
        identity: Identity of the app, as in `Journal.create`.

    Raises:
        RootRefused: Another user could have written into the root or into the run.
    """
    runs = runs_folder(root)
    for run_id in reversed(list_runs(runs)):
        path = os.path.join(runs, run_id)
        if can_resume(path) and read_details(path).get("identity") == identity:
            _check_run(path)
            return path
    return None


def _check_run(path: str) -> None:
    with opened(path, mode=PRIVATE):
        pass


def can_resume(path: str) -> bool:
    """Return whether a run has a journal and was not ended by `flow.stop`."""
    return has_journal(path) and read_details(path).get("state") != "stopped"


def read_details(path: str) -> dict[str, Any]:
    """Return the content of `run.json` of a run; an empty dict if it can't be read."""
    try:
        with open(os.path.join(path, "run.json"), "rb") as file:
            details = json.load(file)
    except (OSError, ValueError):
        return {}
    return details if isinstance(details, dict) else {}


def _seconds(iso: Any) -> float | None:
    try:
        return datetime.fromisoformat(iso).timestamp()
    except (TypeError, ValueError):  # missing, or another program changed the file
        return None
