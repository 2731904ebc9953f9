"""Removes old runs, so that a root does not grow without limit."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from itertools import islice

from lightning_lite.errors import JournalError
from lightning_lite.runs.catalog import can_resume, list_runs, runs_folder
from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.runs.lock import RunLock, exclusive_access, find_holder, lock_error

#: Number of the newest runs to keep; the same number of older runs that can be resumed is kept too.
KEEP_RUNS = 50

_REMOVED = ".removed-"

#: Seconds to wait for processes that begin a run, and for those that look at the run to remove.
_REMOVE_TIMEOUT = 5.0


def clean_runs(root: str, *, keep: int = KEEP_RUNS) -> None:
    """Remove the folders of old runs: journal, values and logs.

    The newest `keep` runs are kept, and of the older ones the newest `keep` that can be resumed. A run in use
    is always kept. A run that can't be removed is kept until the next time. With at most `keep` runs, the
    cost is one listing of a folder.

    Args:
        root: Absolute folder that holds everything.
        keep: Number of runs to keep, at least 1.

    Raises:
        ValueError: `keep` is less than 1.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: at least one run must be kept")
    runs = runs_folder(root)
    newest_first = [os.path.join(runs, run_id) for run_id in reversed(list_runs(runs))]
    if len(newest_first) <= keep:
        return
    for path in beyond_limit(newest_first, keep):
        # It is in use, another process begins a run, or this user may not remove it. An app never waits for
        # that at its start.
        with suppress(JournalError, OSError):
            if find_holder(path, timeout=0.0) is None:
                remove_run(path, timeout=0.0)
    remove_leftovers(root)


def beyond_limit(newest_first: Sequence[str], keep: int) -> list[str]:
    """Return the runs to remove: not the newest ones, and not the newest of the others that can be resumed.

    Args:
        newest_first: Absolute paths of the folders of the runs.
        keep: Number of runs to keep of both.
    """
    older = newest_first[keep:]
    spared = set(islice(filter(can_resume, older), keep))
    return [path for path in older if path not in spared]


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
