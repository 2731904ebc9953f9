"""The runs of a root as anybody can see them who may read it: who began them, and how they are."""

from __future__ import annotations

import json
import os
import re
from datetime import datetime
from time import time
from typing import Any, NamedTuple

from lightning_lite.errors import NothingToResume
from lightning_lite.runs.lock import Holder, find_holder
from lightning_lite.text import one_line

_RUN_ID = re.compile(r"[0-9]{8}-[0-9]{9}-[0-9a-f]{6}")


def run_path(root: str, run_id: str) -> str:
    """Return the folder of a run.

    Args:
        root: Absolute folder that holds everything.
        run_id: Name of the run, as `RunFolder.id` has it.

    Raises:
        NothingToResume: There is no such run.
    """
    runs = os.path.join(root, "runs")
    if _RUN_ID.fullmatch(run_id) is None or not os.path.isdir(path := os.path.join(runs, run_id)):
        raise NothingToResume(
            f"there is no run {one_line(run_id)!r}; the runs are named like the folders in {runs!r}",
            run_id=run_id,
            root=root,
        )
    return path


def find_resumable(root: str, identity: str) -> str | None:
    """Return the folder of the latest run of an app that `flow.stop` did not end, or `None`.

    A run that still goes on is such a run: `Journal.open` then says who holds it, instead of a second one
    beginning beside it.

    Args:
        root: Absolute folder that holds everything.
        identity: Which app it is, as in `Journal.create`.
    """
    runs = os.path.join(root, "runs")
    for run_id in reversed(list_runs(runs)):
        path = os.path.join(runs, run_id)
        if can_resume(path) and read_facts(path).get("identity") == identity:
            return path
    return None


def list_runs(runs: str) -> list[str]:
    """Return the names of the runs in a folder, the oldest first."""
    try:
        names = os.listdir(runs)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(filter(_RUN_ID.fullmatch, names))


def can_resume(path: str) -> bool:
    """Return whether a run has a journal and was not ended by `flow.stop`."""
    return os.path.lexists(os.path.join(path, "journal.db")) and read_facts(path).get("state") != "stopped"


def read_facts(path: str) -> dict[str, Any]:
    """Return what `run.json` says about a run; nothing if it can't be read."""
    try:
        with open(os.path.join(path, "run.json"), "rb") as file:
            facts = json.load(file)
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


#: Seconds in which a run that is just beginning takes its lock.
_GRACE = 5.0


class SeenRun(NamedTuple):
    """One run.

    Attributes:
        id: Its name.
        path: Absolute path of its folder.
        facts: What its `run.json` says; nothing if that can't be read.
        state: `running`; `stopped` by its flow, `failed`, `interrupted` by a signal or from another terminal,
            `killed` from there; `died` if its process is gone without a word; `unknown`.
        holder: The process that runs it, or `None`.
    """

    id: str
    path: str
    facts: dict[str, Any]
    state: str
    holder: Holder | None

    @property
    def app(self) -> str:
        """Name of the app."""
        return str(self.facts.get("app", "?"))

    @property
    def started(self) -> float | None:
        """When it began, in seconds since 1970."""
        return _seconds(self.facts.get("started"))

    @property
    def ended(self) -> float | None:
        """When it ended, in seconds since 1970; `None` if nobody knows."""
        return _seconds(self.facts.get("ended"))

    @property
    def error(self) -> str | None:
        """What it failed of, in one line, if it has and could say so."""
        error = self.facts.get("error")
        return error if self.state == "failed" and isinstance(error, str) else None


def see_runs(root: str) -> list[SeenRun]:
    """Return all runs of a root, the oldest first.

    Args:
        root: Absolute folder that holds everything.

    Raises:
        OSError: This user may not look into it.
    """
    runs = os.path.join(root, "runs")
    return [see_run(os.path.join(runs, name)) for name in list_runs(runs)]


def see_run(path: str) -> SeenRun:
    """Return how a run is.

    Whether it goes on is told by its lock, not by a number that the system may have given to another process.

    Args:
        path: Absolute path of its folder.

    Raises:
        OSError: This user may not look into it.
    """
    holder = find_holder(path)
    facts = read_facts(path)  # behind the lock: who gives that back has written down the end before
    state = str(facts.get("state", "unknown"))
    if holder is not None:
        state = "running"
    elif state == "running":
        began = _seconds(facts.get("resumed") or facts.get("started"))
        is_beginning = began is not None and 0 <= time() - began < _GRACE and not _has_journal(path)
        state = "running" if is_beginning else "died"
    return SeenRun(os.path.basename(path), path, facts, state, holder)


def _has_journal(path: str) -> bool:
    return os.path.lexists(os.path.join(path, "journal.db"))


def _seconds(iso: Any) -> float | None:
    try:
        return datetime.fromisoformat(iso).timestamp()
    except (TypeError, ValueError):  # nothing, or what somebody else has written there
        return None
