"""What is to be seen of the works of an app: snapshots for people, taken beside the flow.

All of it may be called in any thread while the flow goes on: it reads what is there at the moment, one
attribute at a time, and changes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Self

from lightning_lite.engine.supervisor import Supervisor
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.work import LightningWork
from lightning_lite.ui.live import LiveView, open_view
from lightning_lite.ui.live_table import WorkRow, read_progress
from lightning_lite.ui.summary import RunSummary, WorkSummary, show_run
from lightning_lite.ui.terminal import Terminal


class AppView:
    """The view of one app; `open` makes one where there is a terminal for it.

    Args:
        app: Name of the app.
        terminal: Shows the output of its works.
        live: Shows the works while they run.
    """

    def __init__(self, app: str, terminal: Terminal, live: LiveView) -> None:
        self._app = app
        self._terminal = terminal
        self._live = live
        self._began = time.time()

    @classmethod
    def open(cls, app: str, terminal: Terminal, look: Callable[[], Sequence[WorkRow]]) -> Self | None:
        """Return a view on the terminal of `sys.stdout`; `None` if that is none, or shows only plain text.

        Args:
            app: Name of the app.
            terminal: Shows the output of its works.
            look: Returns what is to be seen of the works; called in any thread.
        """
        live = open_view(app, terminal, look)
        return cls(app, terminal, live) if live is not None else None

    def start(self) -> None:
        """Begin to show something."""
        self._live.start()

    def poke(self) -> None:
        """Note that something may have changed; takes no time, and is for handlers of signals, too."""
        self._live.poke()

    def hide(self) -> None:
        """Leave the terminal to the shell; called in the handler of a signal."""
        self._live.hide()

    def close(self, ending: str, works: Sequence[LightningWork]) -> None:
        """Wipe the works from the terminal, and say what became of them if the app has begun.

        Args:
            ending: `stopped`, `failed` or `interrupted`.
            works: The works of the app.
        """
        has_begun = self._live.has_begun
        self._live.close()
        if has_begun:
            summaries = [summarize_work(work, self._began) for work in works]
            seconds = time.time() - self._began
            show_run(RunSummary(self._app, ending, seconds, summaries), self._terminal)


def snapshot_work(supervisor: Supervisor, pids: Mapping[str, int]) -> WorkRow:
    """Return what a live view shows of one work: the call under way, else what its status is about.

    Args:
        supervisor: Who runs its calls.
        pids: Ids of the processes of works, by name.
    """
    work, book = supervisor.work, supervisor.work._book
    call, status = supervisor.running, book.status
    if call is not None:
        status = call.statuses[-1]
    elif book.newest is not None and status in book.newest.statuses[-1:]:  # not about the process
        call = book.newest
    return WorkRow(
        supervisor.name,
        status.stage.replace("_", " "),
        call=call.number if call is not None else 0,
        attempt=call.attempt if call is not None else 0,
        progress=read_work_progress(work),
        since=status.timestamp or None,
        pid=pids.get(supervisor.name),
    )


def read_work_progress(work: LightningWork) -> float | None:
    """Return what the attribute `progress` of a work says, from 0 to 1; `None` if there is none that does.

    Example:
        >>> class Train(LightningWork):
        ...     def __init__(self):
        ...         super().__init__()
        ...         self.progress = (30, 120)
        ...     def run(self):
        ...         pass
        >>> read_work_progress(Train())
        0.25
    """
    node = work._node
    if "progress" not in node.names:
        return None
    try:
        value = node.value(work, "progress")
    except KeyError:  # it changes at this moment
        return None
    return read_progress(value)


def summarize_work(work: LightningWork, since: float) -> WorkSummary:
    """Return what became of a work since a moment.

    Args:
        work: The work.
        since: Seconds since 1970.
    """
    book = work._book
    seconds, num_calls, failures = 0.0, 0, []
    for call in book.current.values():
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
        for status in book.process_statuses
        if status.stage == WorkStageStatus.FAILED and status.timestamp >= since
    ]
    if book.num_calls > len(book.current):  # it does not remember its calls, nor how long they were
        return WorkSummary(work.name, book.num_calls, None, tuple(failures))
    return WorkSummary(work.name, num_calls, seconds, tuple(failures))
