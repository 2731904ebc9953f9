"""Removing old runs, so that a root does not grow for ever."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from lightning_lite.errors import JournalError
from lightning_lite.runs.holding import RunLock
from lightning_lite.runs.resumable import can_resume, list_runs

#: How many of the newest runs are kept; as many older ones that can still be resumed are kept, too.
KEEP_RUNS = 50

#: Seconds for which a run stays in any case: one that is just beginning does not hold its lock yet.
_GRACE = 60.0

_REMOVED = ".removed-"


def clean_runs(root: str, *, keep: int = KEEP_RUNS, max_age: float | None = None, now: float) -> None:
    """Remove old runs with all that belongs to them: journal, values and logs.

    The newest `keep` runs stay, and of the older ones the newest `keep` that can still be resumed. With
    `max_age`, those that have not changed for so long go, too. A run that is in use stays always; what
    can't be removed stays until the next time.

    As long as there are not more than `keep` runs, and without `max_age`, it costs one look into a folder.

    Args:
        root: Absolute folder that holds everything.
        keep: How many runs stay, at least 1.
        max_age: Seconds since the last change of a run, or `None` for any age.
        now: Seconds since 1970.

    Raises:
        ValueError: `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: at least one run has to stay")
    runs = os.path.join(root, "runs")
    newest_first = list_runs(runs)[::-1]
    if not newest_first or (len(newest_first) <= keep and max_age is None):
        return
    spared = 0
    for position, run_id in enumerate(newest_first):
        path = os.path.join(runs, run_id)
        stays = position < keep
        if not stays and spared < keep and can_resume(path):
            spared += 1
            stays = True
        limit = max_age if stays else 0.0
        if limit is not None and now - _last_change(path) > max(limit, _GRACE):
            _remove(runs, run_id)
    _remove_rests(runs)


def _last_change(path: str) -> float:
    """Return when a run wrote something the last time, in seconds since 1970."""
    moments = [0.0]
    for name in ("", "run.json", "journal.db", "journal.db-wal"):
        with suppress(OSError):
            moments.append(os.stat(os.path.join(path, name)).st_mtime)
    return max(moments)


def _remove(runs: str, run_id: str) -> None:
    path = os.path.join(runs, run_id)
    lock = RunLock(path)
    try:
        lock.acquire()
    except JournalError:  # it is in use, or not ours to remove
        return
    try:
        with suppress(OSError):
            aside = os.path.join(runs, _REMOVED + run_id)
            os.rename(path, aside)  # at once, so that who dies from here on leaves no half of a run
            shutil.rmtree(aside, ignore_errors=True)
    finally:
        lock.release()


def _remove_rests(runs: str) -> None:
    """Remove what a cleaner that died had put aside."""
    for name in os.listdir(runs):
        if name.startswith(_REMOVED):
            shutil.rmtree(os.path.join(runs, name), ignore_errors=True)
