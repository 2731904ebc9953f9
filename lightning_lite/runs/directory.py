"""The runs of a root as anybody can see them who may read it: who began them, and how they are."""

from __future__ import annotations

import os
from datetime import datetime
from time import time
from typing import Any, NamedTuple

from lightning_lite.runs.holding import Holder, find_holder
from lightning_lite.runs.resumable import list_runs, read_facts

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
