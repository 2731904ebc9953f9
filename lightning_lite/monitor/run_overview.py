"""The overview of one run for the page: its works, its components, its failures, and its usage.

It consists of data that the follower has read in the journal, and of the answer of the app while that runs.
"""

from __future__ import annotations

import os
from collections import Counter
from threading import Lock
from time import monotonic, time
from typing import Any

from lightning_lite.monitor.follower import RunFollower
from lightning_lite.monitor.layout_file import shows_something
from lightning_lite.monitor.run_list import describe_run
from lightning_lite.monitor.run_status import (
    AppAnswer,
    RunStatus,
    ask_app,
    class_name,
    describe_work,
    make_status,
    row_from_history,
    tree_order,
)
from lightning_lite.monitor.run_usage import INTERVAL, RunUsage
from lightning_lite.runners.output.log_reader import last_line
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.work_row import WorkRow

#: Seconds to wait for the answer of an app; without it, the journal says what its works do.
_ANSWER_TIMEOUT = 0.3

#: Seconds for which an answer is used again, and for which an app that did not answer is not asked again.
_ANSWER_AGE = 0.2
_NO_ANSWER_AGE = 2.0

#: Characters of the last line of a work that are given.
_MAX_LINE = 300

#: Removed works that are listed, the newest ones: a flow may make and remove a work for each item.
_MAX_DETACHED = 200


class RunOverview:
    """Describes one run again and again; any thread may use it.

    Args:
        follower: Follows the run. Its owner calls `follow`.
    """

    def __init__(self, follower: RunFollower) -> None:
        self._follower = follower
        self._usage = RunUsage()
        self._last_lines = _LastLines(follower.path)
        self._lock = Lock()
        self._answer: AppAnswer | None = None
        self._asked_at = float("-inf")

    def describe(self, run: RunSummary, root: str) -> dict[str, Any]:
        """Return the overview, for JSON.

        Args:
            run: The run, as it is now.
            root: Absolute folder that holds everything.
        """
        follower, answer = self._follower, self._ask(run)
        with follower.lock:
            status = make_status(run, answer, follower.history, follower.trouble)
            self._measure(status)
            works = [*status.works, *_detached_rows(status)]
            return {
                "run": describe_run(run, root, Counter(row.state for row in status.works)),
                "now": time(),
                "generation": follower.generation,
                "revision": follower.revision,
                "answering": status.is_answering,
                "busy": status.busy,
                "trouble": status.trouble,
                "read": {"bytes": follower.bytes_read, "of": follower.size},
                "has_layout": shows_something(run),
                "last_event": follower.history.last_time or None,
                "components": _components(status),
                "works": [self._describe_work(status, row) for row in works],
                "errors": {
                    "total": follower.index.failures.total,
                    "items": [failure._asdict() for failure in follower.index.failures.items()],
                },
            }

    def usage(self, run: RunSummary, since: float = 0.0) -> dict[str, Any]:
        """Return the CPU and memory of the processes over time, for JSON.

        Args:
            run: The run, as it is now.
            since: Only samples after this time, in seconds since 1970.
        """
        answer = self._ask(run)
        with self._follower.lock:
            status = make_status(run, answer, self._follower.history)
        self._measure(status)
        samples = self._usage.since(since)
        app = samples.pop("", [])
        return {"interval": INTERVAL, "works": samples, "app": app}

    def _ask(self, run: RunSummary) -> AppAnswer:
        """Return the answer of the app, which is asked by one thread at a time."""
        with self._lock:
            answer = self._answer
            is_silent = answer is not None and answer.trouble
            age = monotonic() - self._asked_at
            if answer is None or age > (_NO_ANSWER_AGE if is_silent else _ANSWER_AGE) or run.holder is None:
                answer = self._answer = ask_app(run, _ANSWER_TIMEOUT)
                self._asked_at = monotonic()
            return answer

    def _measure(self, status: RunStatus) -> None:
        run = status.run
        if run.state == "running":
            places = {row.name: row.place for row in status.works}
            self._usage.measure({**places, "": run.holder.place if run.holder is not None else None})

    def _describe_work(self, status: RunStatus, row: WorkRow) -> dict[str, Any]:
        work = status.history.works.get(row.name)
        sample = self._usage.newest(row.name) if row.place is not None else None
        if sample is not None:
            row = row._replace(cpu=sample.cpu, memory=sample.memory)
        return {
            **describe_work(row, status.history),
            **self._follower.counts(row.name)._asdict(),
            "last_line": self._last_lines.of(row.name),
            "detached": work.is_detached if work is not None else False,
        }


class _LastLines:
    """The last lines of the logs of one run; a log is read again only after it has changed.

    Args:
        path: Absolute path of the folder of the run.
    """

    def __init__(self, path: str) -> None:
        self._folder = os.path.join(path, "logs")
        self._known: dict[str, tuple[tuple[int, int], str]] = {}

    def of(self, work: str) -> str:
        """Return the last line of the log of a work, shortened; "" if there is none."""
        file = os.path.join(self._folder, f"{work}.log")
        try:
            found = os.lstat(file)
        except OSError:
            self._known.pop(work, None)
            return ""
        stamp = found.st_size, found.st_mtime_ns
        known = self._known.get(work)
        if known is None or known[0] != stamp:
            known = self._known[work] = stamp, last_line(file)[:_MAX_LINE]
        return known[1]


def _detached_rows(status: RunStatus) -> list[WorkRow]:
    """Return the rows of the newest works that the flow has removed."""
    shown = {row.name for row in status.works}
    works = [work for work in status.history.works.values() if work.is_detached and work.name not in shown]
    return [
        row_from_history(status.run, status.history, work) for work in works[-_MAX_DETACHED:] if work.calls
    ]


def _components(status: RunStatus) -> list[dict[str, Any]]:
    """Return all flows and works in the order of the tree."""
    identities, works = status.history.identities, {row.name for row in status.works}
    return [
        {
            "name": name,
            "kind": "work" if name in works else "flow",
            "class": class_name(identities.get(name)),
        }
        for name in sorted({*works, *status.flows}, key=tree_order)
    ]
