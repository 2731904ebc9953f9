"""What became of the calls of a work, as its flow reads it."""

from __future__ import annotations

from lightning_lite.core.calls import CallBook
from lightning_lite.core.component import Component
from lightning_lite.core.status import WorkFailureReasons, WorkStageStatus, WorkStatus


class Outcome(Component):
    """The part of a work that says what happened: `status`, `has_…`, `is_…`, `num_…`."""

    _book: CallBook

    @property
    def status(self) -> WorkStatus:
        """What happened last to the newest call that the flow asked for, or to the process after it."""
        return self._book.read_status()

    @property
    def statuses(self) -> list[WorkStatus]:
        """What happened to the newest call and to the process, in order."""
        self._book.read_status()
        newest = self._book.newest.statuses if self._book.newest else []
        return sorted([*self._book.process_statuses, *newest], key=lambda status: status.timestamp)

    @property
    def has_started(self) -> bool:
        """Whether its process has been up."""
        return self._book.has_started

    @property
    def has_stopped(self) -> bool:
        """Whether it was stopped and has not been asked for anything since."""
        return self._book.read_status().stage == WorkStageStatus.STOPPED

    @property
    def has_succeeded(self) -> bool:
        """Whether the newest call has succeeded."""
        newest = self._book.newest
        return newest is not None and newest.succeeded

    @property
    def has_failed(self) -> bool:
        """Whether the newest call has failed, or the process died without one."""
        return self._book.read_status().stage == WorkStageStatus.FAILED

    @property
    def has_timeout(self) -> bool:
        """Whether the newest call ran into its time limit."""
        return self.has_failed and self._book.read_status().reason == WorkFailureReasons.TIMEOUT

    @property
    def is_running(self) -> bool:
        """Whether the newest call runs."""
        return self._book.read_status().stage == WorkStageStatus.RUNNING

    @property
    def is_pending(self) -> bool:
        """Whether the newest call waits for its turn."""
        return self._book.read_status().stage == WorkStageStatus.PENDING

    @property
    def num_failures(self) -> int:
        """Attempts that failed, over all calls."""
        return self._book.num_failures

    @property
    def num_successes(self) -> int:
        """Calls that succeeded."""
        return self._book.num_successes

    @property
    def num_timeouts(self) -> int:
        """Attempts that ran into the time limit, over all calls."""
        return self._book.num_timeouts
