"""The live view of the works on the terminal, and the summary of a run at its end."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Self

from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.work import LightningWork
from lightning_lite.ui.live import LiveView, open_view
from lightning_lite.ui.summary import EndSummary, WorkSummary, show_run
from lightning_lite.ui.terminal import Terminal
from lightning_lite.work_row import WorkRow


class TerminalView:
    """The live view of one app, and its summary at the end; `open` creates one if there is a terminal.

    Args:
        app: Name of the app.
        terminal: Shows the output of its works.
        live: Shows the works while they run.
        since: The summary leaves out earlier calls; seconds since 1970.
    """

    def __init__(self, app: str, terminal: Terminal, live: LiveView, since: float) -> None:
        self._app = app
        self._terminal = terminal
        self._live = live
        self._since = since
        self._began = time.monotonic()

    @classmethod
    def open(
        cls, app: str, terminal: Terminal, snapshot: Callable[[], Sequence[WorkRow]], since: float
    ) -> Self | None:
        """Return a view on the terminal of `sys.stdout`, or `None` if that is no terminal or a dumb one.

        Args:
            app: Name of the app.
            terminal: Shows the output of its works.
            snapshot: Returns a snapshot of the works; called in any thread.
            since: The summary leaves out earlier calls; seconds since 1970.
        """
        live = open_view(app, terminal, snapshot)
        return cls(app, terminal, live, since) if live is not None else None

    def start(self) -> None:
        """Start to show the works."""
        self._live.start()

    def request_redraw(self) -> None:
        """Request a redraw; fast, and callable from signal handlers."""
        self._live.request_redraw()

    def hide(self) -> None:
        """Clear the view, so that the shell can use the terminal; called in a signal handler."""
        self._live.hide()

    def close(self, ending: str, works: Sequence[LightningWork]) -> None:
        """Clear the view, and print a summary if the view has shown the works.

        Args:
            ending: `stopped`, `failed` or `interrupted`.
            works: The works of the app.
        """
        has_begun = self._live.has_begun
        self._live.close()
        if has_begun:
            summaries = [summarize_work(work, self._since) for work in works]
            seconds = time.monotonic() - self._began
            show_run(EndSummary(self._app, ending, seconds, summaries), self._terminal)


def summarize_work(work: LightningWork, since: float) -> WorkSummary:
    """Return the summary of a work since a given time.

    Args:
        work: The work.
        since: Seconds since 1970.
    """
    records = work._records
    seconds, num_calls, failures = 0.0, 0, []
    for call in records.current.values():
        statuses = [status for status in call.statuses if status.timestamp >= since]
        spans = [
            end.timestamp - begin.timestamp
            for begin, end in pairwise(statuses)
            if begin.stage == WorkStageStatus.RUNNING
        ]
        num_calls += bool(spans)
        seconds += sum(spans)
        if statuses and statuses[-1].stage == WorkStageStatus.FAILED:
            failures.append(statuses[-1].message)
    failures += [
        status.message
        for status in records.process_statuses
        if status.stage == WorkStageStatus.FAILED and status.timestamp >= since
    ]
    if records.num_calls > len(records.current):
        # A work with `cache_calls=False` keeps no old calls, so their durations are unknown.
        return WorkSummary(work.name, records.num_calls, None, tuple(failures))
    return WorkSummary(work.name, num_calls, seconds, tuple(failures))
