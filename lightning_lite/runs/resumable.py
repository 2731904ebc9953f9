"""Which runs there are, and which of them can go on."""

from __future__ import annotations

import json
import os
import re
from typing import Any

from lightning_lite.errors import NothingToResume
from lightning_lite.safe_text import one_line

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
