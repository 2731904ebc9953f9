"""Removing old runs, so that a root does not grow for ever."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from lightning_lite.errors import JournalError
from lightning_lite.runs.catalog import can_resume, list_runs
from lightning_lite.runs.lock import RunLock

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
        if limit is not None and now - last_change(path) > max(limit, _GRACE):
            with suppress(JournalError, OSError):  # it is in use, or not ours to remove
                remove_run(path)
    remove_rests(root)


def last_change(path: str) -> float:
    """Return when the run in this folder wrote something the last time, in seconds since 1970."""
    moments = [0.0]
    for name in ("", "run.json", "journal.db", "journal.db-wal", "journal.db-ahead"):
        with suppress(OSError):
            moments.append(os.stat(os.path.join(path, name)).st_mtime)
    return max(moments)


def size_of(path: str) -> int:
    """Return how many bytes of the disk a run takes; what goes away meanwhile takes none."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return size


def remove_run(path: str) -> None:
    """Remove a run with all that belongs to it.

    Args:
        path: Absolute path of its folder.

    Raises:
        JournalInUse: Somebody uses it; it stays.
        JournalError: It is not ours to remove; it stays.
        OSError: The system refuses; it stays.
    """
    lock = RunLock(path)
    lock.acquire()
    try:
        runs, run_id = os.path.split(path)
        aside = os.path.join(runs, _REMOVED + run_id)
        os.rename(path, aside)  # at once, so that who dies from here on leaves no half of a run
        shutil.rmtree(aside, ignore_errors=True)
    finally:
        lock.release()


def remove_rests(root: str) -> None:
    """Remove what a cleaner that died had put aside."""
    runs = os.path.join(root, "runs")
    for name in os.listdir(runs):
        if name.startswith(_REMOVED):
            shutil.rmtree(os.path.join(runs, name), ignore_errors=True)
