"""Which letters and facts become records of the journal.

    runner.wait ──reports──▶ hear: states and ends of calls, secured ──▶ machine.step
                                                                            │ facts
    runner.send ◀──requests─ follow: what the flow did with them  ◀─────────┘
                             settle: both committed, when there is nothing else to do

So when the flow sees that a call has ended, that end is on disk; a failure is followed before the pass as
well. What the flow then does is written down together with the use that it made of the answers.
"""

from __future__ import annotations

from collections.abc import Iterable

from lightning_lite.clock import Moment
from lightning_lite.engine.machine import Machine
from lightning_lite.messages import Report, RunEnded, StateChanged
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.records import Record
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.facts import Facts
from lightning_lite.values.pickling import pack_plain

#: Seconds that a call has to be under way before the death of the flow is not put down to it.
SURVIVAL = 10.0


class Recorder:
    """Writes the journal of one run.

    Args:
        journal: The journal, open for writing.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._young: dict[tuple[str, str], float] = {}  # calls under way: work and key → monotonic seconds

    @property
    def wake_at(self) -> float | None:
        """When the oldest call that was just sent will have survived, in monotonic seconds, or `None`."""
        return next(iter(self._young.values()), None)

    def begin(self, now: Moment) -> None:
        """Note that a process takes up the run."""
        self._journal.append(Record("begun", "", "", pack_plain(now.wall)))

    def hear(self, reports: Iterable[Report], machine: Machine) -> None:
        """Write down what has arrived, before the flow sees it."""
        for report in reports:
            if type(report) is not StateChanged and type(report) is not RunEnded:
                continue
            changes, answer = machine.accepted(report)
            if changes:
                self._journal.append(Record("state", report.work, "", pack_plain(changes)))
            if type(report) is RunEnded and answer is not None:
                self._journal.append(Record("value", report.work, report.key, answer))
        self._journal.secure()

    def follow(self, facts: Facts, now: Moment) -> None:
        """Write down what the turn has changed."""
        if self._young:
            self._note_survivors(now)
        if facts:
            self._journal.append(Record("turn", "", "", pack_plain(facts.to_data())))
            for event in facts.events:
                if event[0] == "status":
                    _, work, key, _, fields = event
                    if fields[0] == WorkStageStatus.RUNNING:
                        self._young[work, key] = now.monotonic + SURVIVAL
                    elif key:
                        self._young.pop((work, key), None)
        self._journal.secure()

    @property
    def is_ahead(self) -> bool:
        """Whether something is safe, but not committed."""
        return self._journal.is_ahead

    def settle(self) -> None:
        """Commit what is written down."""
        self._journal.commit()

    def close(self) -> None:
        """Write what is left, and let go of the journal."""
        self._journal.close()

    def _note_survivors(self, now: Moment) -> None:
        while (due := self.wake_at) is not None and due <= now.monotonic:
            work, key = next(iter(self._young))
            self._journal.append(Record("survived", work, key, b""))
            del self._young[work, key]
