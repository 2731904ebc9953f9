"""Removes old runs, so that a root does not grow without limit."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress

from lightning_lite.errors import JournalError
from lightning_lite.runs.catalog import can_resume, list_runs, runs_folder
from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.runs.lock import RunLock, exclusive_access, find_holder, lock_error

#: Number of the newest runs to keep; the same number of older runs that can be resumed is kept too.
KEEP_RUNS = 50

_REMOVED = ".removed-"

#: Seconds to wait for processes that begin a run, and for those that look at the run to remove.
_REMOVE_TIMEOUT = 5.0


def clean_runs(root: str, *, keep: int = KEEP_RUNS, max_age: float | None = None, now: float) -> None:
    """Remove the folders of old runs: journal, values and logs.

    The newest `keep` runs are kept, and of the older ones the newest `keep` that can be resumed. With
    `max_age`, a kept run is removed if it has not changed for that time. A run in use is always kept. A run
    that can't be removed is kept until the next time.

    With at most `keep` runs and without `max_age`, the cost is one listing of a folder.

    Args:
        root: Absolute folder that holds everything.
        keep: Number of runs to keep, at least 1.
        max_age: Seconds since the last change of a run, or `None` for any age.
        now: Present time in seconds since 1970.

    Raises:
        ValueError: `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: at least one run must be kept")
    runs = runs_folder(root)
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
        # Only `max_age` looks at the time of a run, because the clock may have been ahead.
        if not stays or (max_age is not None and now - last_change(path) > max_age):
            # It is in use, another process begins a run, or this user may not remove it. An app never waits
            # for that at its start.
            with suppress(JournalError, OSError):
                if find_holder(path, timeout=0.0) is None:
                    remove_run(path, timeout=0.0)
    remove_leftovers(root)


def last_change(path: str) -> float:
    """Return the time of the last change of a run, in seconds since 1970."""
    moments = [0.0]
    for name in ("", "run.json", FILE_NAME):
        with suppress(OSError):
            moments.append(os.lstat(os.path.join(path, name)).st_mtime)
    return max(moments)


def size_of(path: str) -> int:
    """Return the disk usage of a run in bytes; a file that is removed while we count has none."""
    size = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with suppress(FileNotFoundError):
                size += os.lstat(os.path.join(folder, name)).st_blocks * 512
    return size


def remove_run(path: str, timeout: float | None = None) -> None:
    """Remove the folder of a run; a run that is refused is left unchanged.

    Args:
        path: Absolute path of the folder of the run.
        timeout: Maximum of seconds to wait for processes that begin a run, and for those that look at this
            run; `None` means five for each.

    Raises:
        JournalInUse: A process uses the run.
        JournalError: Its lock can't be used.
        FileNotFoundError: There is no such run.
        OSError: The system refuses to remove it.
    """
    timeout = _REMOVE_TIMEOUT if timeout is None else timeout
    lock = RunLock(path)
    runs, run_id = os.path.split(path)
    aside = os.path.join(runs, _REMOVED + run_id)
    try:
        # A process that begins a run shares this lock until the run has its own.
        with exclusive_access(runs, timeout):
            os.lstat(path)  # fails if another process has removed the run
            lock.acquire(timeout=0.0, access_timeout=timeout)
            os.rename(path, aside)  # atomic: a process that dies after it leaves no half of a run
        shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        if error.filename == runs:
            raise lock_error(error, runs) from error
        raise
    finally:
        lock.release()


def remove_leftovers(root: str) -> None:
    """Remove the folders that an earlier process had renamed and did not remove before it died."""
    runs = runs_folder(root)
    for name in os.listdir(runs):
        if name.startswith(_REMOVED):
            shutil.rmtree(os.path.join(runs, name), ignore_errors=True)
