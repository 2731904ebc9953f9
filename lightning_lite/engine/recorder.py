"""Writes the events of a run to its journal.

    machine.step ──events──▶ record: write them, so that they survive the process ──▶ send the requests
                             settle: commit them, when the app is idle

The flow sees the effect of an event in a later step. So an end of a call is on disk before the flow sees it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from lightning_lite.clock import Moment
from lightning_lite.events import CallStatusChanged, CallSucceeded, CallSurvived, Event, RunBegun
from lightning_lite.runs.event_codec import encode_events
from lightning_lite.runs.journal import Journal
from lightning_lite.status import WorkStageStatus

#: Seconds after the start of a call from which on a death of the flow is not attributed to that call.
SURVIVAL = 10.0


class Recorder:
    """Writes the journal of one run.

    Args:
        journal: The journal, open for writing.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._young: dict[tuple[str, str], float] = {}  # running calls: (work, key) → monotonic time

    @property
    def wake_at(self) -> float | None:
        """When the oldest new call counts as survived, in monotonic seconds, or `None`."""
        return next(iter(self._young.values()), None)

    def begin(self, now: Moment) -> None:
        """Record that a process starts or resumes the run."""
        self._append([RunBegun(now.wall)])

    def record(self, events: Sequence[Event], now: Moment) -> None:
        """Write events; when this returns, they survive the death of the process.

        Raises:
            JournalError: Writing failed, for example because the disk is full.
        """
        if self._young:
            self._note_survivors(now)
        self._append(events)
        for event in events:
            if type(event) is CallStatusChanged:
                call = event.component, event.key
                if event.status.stage == WorkStageStatus.RUNNING:
                    self._young[call] = now.monotonic + SURVIVAL
                else:
                    self._young.pop(call, None)
            elif type(event) is CallSucceeded:
                self._young.pop((event.component, event.key), None)
        self._journal.secure()

    @property
    def is_ahead(self) -> bool:
        """Whether events are written but not committed."""
        return self._journal.is_ahead

    def settle(self) -> None:
        """Commit the written events."""
        self._journal.commit()

    def close(self) -> None:
        """Write the remaining events, and close the journal."""
        self._journal.close()

    def _append(self, events: Iterable[Event]) -> None:
        for record in encode_events(events):
            self._journal.append(record)

    def _note_survivors(self, now: Moment) -> None:
        while (due := self.wake_at) is not None and due <= now.monotonic:
            work, key = next(iter(self._young))
            self._append([CallSurvived(work, key, now.wall)])
            del self._young[work, key]
