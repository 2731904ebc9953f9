"""The runs of a root, for the page: filtered, in pages, and cheap to ask for again and again."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from threading import Lock
from time import monotonic
from typing import Any, NamedTuple

from lightning_lite.errors import CommandError, RootRefused
from lightning_lite.harmless_text import one_line
from lightning_lite.monitor.resume_command import resume_command
from lightning_lite.monitor.run_status import ask_app, state_at_the_end
from lightning_lite.runs.catalog import RunSummary, is_run, is_run_id, list_runs, read_run, runs_folder

#: Runs of one answer, at most.
MAX_RUNS = 1000

#: Seconds for which all running apps together may answer how many works they have in each state.
_ASK_BUDGET = 0.15
_ASK_TIMEOUT = 0.05

#: Seconds for which such an answer is used again.
_ANSWER_AGE = 1.0

#: The stamp that identifies the content of a `run.json`: inode, size and time of the last change.
_Stamp = tuple[int, int, int]


class _Known(NamedTuple):
    """A run that has ended, and the stamp of its `run.json`."""

    stamp: _Stamp
    run: RunSummary


class RunList:
    """Lists the runs of a root again and again; any thread may use it.

    Args:
        root: Absolute folder that holds everything.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root:
        ...     RunList(root).page()["total"]
        0
    """

    def __init__(self, root: str) -> None:
        self._root = root
        self._lock = Lock()
        self._known: dict[str, _Known] = {}
        self._counts: dict[str, tuple[float, dict[str, int]]] = {}

    def page(
        self,
        *,
        text: str = "",
        state: str = "",
        app: str = "",
        tag: str = "",
        before: str = "",
        limit: int = 200,
    ) -> dict[str, Any]:
        """Return the runs that fit, the newest first, for JSON.

        Args:
            text: Words, each of which is in the id, name, app, tags, error or command; "" for all.
            state: State of the runs, as in `RunSummary`; "" for all.
            app: Name of their app; "" for all.
            tag: One of their tags; "" for all.
            before: Id of a run; only older ones are listed. "" for the newest.
            limit: Maximum number of runs.

        Raises:
            ValueError: `limit` is not between 1 and 1000, or `before` is not the id of a run.
        """
        if not 1 <= limit <= MAX_RUNS:
            raise ValueError(f"limit must be from 1 to {MAX_RUNS}; found {limit}")
        if before and not is_run_id(before):
            raise ValueError(f"before must be the id of a run; found {one_line(before, 100)!r}")
        words = text.casefold().split()
        with self._lock:
            try:
                runs, trouble = self._read(), ""
            except (OSError, RootRefused) as error:
                runs, trouble = [], str(error)
            found = [
                run
                for run in reversed(runs)
                if (not state or run.state == state)
                and (not app or run.app == app)
                and (not tag or tag in run.tags)
                and (not words or _has_words(run, words))
            ]
            rest = [run for run in found if run.id < before] if before else found
            shown = rest[:limit]
            counts = self._count_works(shown)
        return {
            "runs": [describe_run(run, self._root, counts[run.id]) for run in shown],
            "total": len(runs),
            "matching": len(found),
            "more": len(rest) > len(shown),
            "states": dict(Counter(run.state for run in runs)),
            "apps": sorted({run.app for run in runs}),
            "tags": sorted({one for run in runs for one in run.tags}),
            "trouble": trouble,
        }

    def find(self, run_id: str) -> RunSummary | None:
        """Return a run as it is now; `None` if there is no such run, or it can't be looked at.

        Args:
            run_id: Its id.
        """
        with self._lock:
            try:
                runs = runs_folder(self._root)
                return self._read_run(runs, run_id) if is_run(runs, run_id) else None
            except (OSError, RootRefused):
                return None

    def _read(self) -> list[RunSummary]:
        runs = runs_folder(self._root)
        names = list_runs(runs)
        for gone in self._known.keys() - set(names):
            del self._known[gone]
        found = [self._read_run(runs, name) for name in names]
        return [run for run in found if not run.trouble or os.path.lexists(run.path)]

    def _read_run(self, runs: str, name: str) -> RunSummary:
        """Return a run; one that has ended is read again only after its `run.json` has changed."""
        path = os.path.join(runs, name)
        stamp, known = _stamp_of(path), self._known.get(name)
        if known is not None and stamp == known.stamp:
            return known.run
        run = read_run(path)
        if stamp is not None and run.details.get("state", "running") != "running" and run.holder is None:
            self._known[name] = _Known(stamp, run)
        else:
            self._known.pop(name, None)
        return run

    def _count_works(self, runs: list[RunSummary]) -> dict[str, dict[str, int]]:
        """Return the number of works in each state, by run; running apps answer it if they do so at once."""
        now = monotonic()
        self._counts = {name: kept for name, kept in self._counts.items() if now - kept[0] < _ANSWER_AGE}
        found = {}
        for run in runs:
            kept = self._counts.get(run.id)
            if run.holder is not None and kept is None and monotonic() - now < _ASK_BUDGET:
                answer = ask_app(run, _ASK_TIMEOUT)
                if answer.works is not None:
                    kept = monotonic(), dict(Counter(work.state for work in answer.works))
                else:
                    kept = monotonic(), recorded_works(run)
                self._counts[run.id] = kept
            found[run.id] = kept[1] if kept is not None and run.holder is not None else recorded_works(run)
        return found


def describe_run(run: RunSummary, root: str, works: Mapping[str, int] | None = None) -> dict[str, Any]:
    """Return the data of `run.json` and of the lock of a run, for JSON.

    Args:
        run: The run.
        root: Absolute folder that holds everything.
        works: Number of its works in each state; `None` for those that it has recorded.
    """
    details, is_running = run.details, run.state == "running"
    return {
        "id": run.id,
        "name": run.name,
        "tags": run.tags,
        "app": run.app,
        "state": run.state,
        "started": run.started,
        "resumed": run.resumed,
        "ended": run.ended if not is_running else None,
        "error": run.error,
        "trouble": run.trouble,
        "pid": run.holder.pid if run.holder is not None else None,
        "host": run.holder.host if run.holder is not None else details.get("host"),
        "user": details.get("user"),
        "works": dict(works) if works is not None else recorded_works(run),
        "command": details.get("command") or [],
        "cwd": details.get("cwd"),
        "python": details.get("python"),
        "folder": run.path,
        "can_resume": _can_resume(run, root),
    }


def recorded_works(run: RunSummary) -> dict[str, int]:
    """Return the number of works in each state that a run has recorded last.

    It records them every few seconds, and at its end.
    """
    works: Counter[str] = Counter()
    for state, count in (run.details.get("works") or {}).items():
        if type(count) is int:  # a user may have edited run.json
            works[state if run.state == "running" else state_at_the_end(state)] += count
    return dict(works)


def _can_resume(run: RunSummary, root: str) -> bool:
    if run.state == "running" or run.details.get("state") == "stopped":
        return False  # without a look at the files of the run: most runs have ended so
    try:
        resume_command(run, root, retry_failed=False)
    except CommandError:
        return False
    return True


def _has_words(run: RunSummary, words: list[str]) -> bool:
    """Return whether each of some words, in lower case, is part of the texts of a run."""
    command = run.details.get("command") or ()
    texts = (run.id, run.name or "", run.app, *run.tags, run.error or "", *map(str, command))
    text = "\n".join(texts).casefold()
    return all(word in text for word in words)


def _stamp_of(path: str) -> _Stamp | None:
    """Return the stamp of the `run.json` of a run; `None` if there is none, or the run is a link."""
    try:
        if os.path.islink(path):
            return None
        found = os.lstat(os.path.join(path, "run.json"))
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
