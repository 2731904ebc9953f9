"""Writes the events of a run to its journal, and the numbers in them to their log; compacts the journal.

    machine.step ──events──▶ record: write them, so that they survive the process ──▶ the next step

A pass sees the effect of an event in a later step. So an end of a call is on disk before a pass sees it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any, assert_never

from lightning_lite.clock import Moment
from lightning_lite.engine.big_value_warnings import BIG, BigValueWarnings
from lightning_lite.engine.compaction import Compaction
from lightning_lite.errors import JournalError, JournalGone
from lightning_lite.events import (
    AnswersKept,
    AnswerUsed,
    CallAsked,
    CallFailed,
    CallsKept,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    ComponentAttached,
    ComponentDetached,
    Event,
    HistoryKept,
    ProcessStarted,
    RunBegun,
    ScheduleFired,
    StateReported,
    StateWritten,
    WorkKept,
    WorkStatusChanged,
)
from lightning_lite.runs.event_codec import encode_events
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.numbers_log import NumbersLog
from lightning_lite.settings import HISTORY
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.values.codec import decode_number

_log = logging.getLogger("lightning_lite")

#: Seconds after the start of a call from which on a death of the flow is not attributed to that call.
SURVIVAL = 10.0

#: A journal is compacted when it is larger than `_GROWTH_FACTOR` times its last snapshot and `_MIN_GROWTH`
#: bytes. A resume takes several times as long for a byte written since then as for a byte of the snapshot, so
#: both are small.
_GROWTH_FACTOR = 1.5
_MIN_GROWTH = 2 * 1024 * 1024

#: The same for the files of big values. It is higher, because they are only counted, not read.
_MIN_GROWTH_OF_VALUES = 32 * 1024 * 1024

#: A journal that has grown by more bytes than this since its last snapshot is compacted when the run ends.
_MIN_GROWTH_AT_END = 1024 * 1024

#: Pieces of a compaction that each step does. A step writes few events, so the compaction overtakes it.
_PIECES = 25

#: Bytes of a big value for which the step that writes it does one more piece, so that few values are written
#: while a compaction is under way.
_BYTES_PER_PIECE = 1024


class Recorder:
    """Writes the journal of one run.

    Args:
        journal: The journal, open for writing.
        history: Number of ended calls that the journal keeps for `timeline` and the like.
        root: The root flow, for the lines of warnings.

    Attributes:
        wake_at: When `record` must be called, also without events, in monotonic seconds, or `None`: the
            oldest new call counts as survived, or numbers must be written.
    """

    def __init__(self, journal: Journal, history: int = HISTORY, root: LightningFlow | None = None) -> None:
        self._journal = journal
        self._limit = history
        self.wake_at: float | None = None
        self._unencoded: list[Event] = []  # a big value among them could not be written
        self._young: dict[tuple[str, str], float] = {}  # running calls: (work, key) → monotonic time
        self._numbers = NumbersLog(journal.folder)
        self._big_values = BigValueWarnings(root)
        self._compaction: Compaction | None = None
        self._size = 0  # of the journal, after the last write
        self._snapshot_size = 0
        self._compact_at: float = _MIN_GROWTH
        self._compact_at_values: float = _MIN_GROWTH_OF_VALUES
        self._num_pieces = _PIECES  # of a compaction, in this step

    @property
    def is_journal_gone(self) -> bool:
        """Whether the journal was removed, and an error has said so."""
        return self._journal.is_gone

    def check_existence(self) -> None:
        """Check that the journal is still there.

        Raises:
            JournalGone: It was removed.
        """
        self._journal.check_existence()

    @property
    def has_unwritten(self) -> bool:
        """Whether events could not be written yet: a resume needs the values that they say are unneeded."""
        return bool(self._unencoded) or self._journal.has_unwritten

    def begin(self, now: Moment, survived: Sequence[CallSurvived] = ()) -> None:
        """Record that a process starts or resumes the run.

        Args:
            now: The time.
            survived: Calls that the process before has survived and could not record.
        """
        self._journal.write(encode_events([*survived, RunBegun(now.wall)], self._journal.keep_value))

    def record(self, events: Sequence[Event], now: Moment) -> None:
        """Write events; when this returns, they survive the death of the process.

        Raises:
            JournalError: Writing failed, for example because the disk is full.
        """
        is_due = self.wake_at is not None and now.monotonic >= self.wake_at
        if is_due:
            events = [*self._take_survivors(now), *events]
        if events:
            self._write(events, now)
        elif not is_due:
            return
        numbers_due = self._numbers.due
        if numbers_due is not None and now.monotonic >= numbers_due:
            self._numbers.flush()
            numbers_due = None
        self.wake_at = next(iter(self._young.values()), None)
        if numbers_due is not None and (self.wake_at is None or numbers_due < self.wake_at):
            self.wake_at = numbers_due
        if (
            self._compaction is not None
            or self._size > self._compact_at
            or self._journal.size_of_new_values > self._compact_at_values
        ):
            self._compact(self._num_pieces)

    def _write(self, events: Sequence[Event], now: Moment) -> None:
        """Write events, and take note of the calls that run and of the values that have changed."""
        journal = self._journal
        size_of_values = journal.size_of_new_values
        self._unencoded += events
        try:
            self._size = journal.write(self._encode())
            self._num_pieces = _PIECES + (journal.size_of_new_values - size_of_values) // _BYTES_PER_PIECE
        finally:
            for event in events:
                match event:
                    case CallStatusChanged() if event.status.stage == WorkStageStatus.RUNNING:
                        self._young[event.component, event.key] = now.monotonic + SURVIVAL
                    case CallStatusChanged() | CallSucceeded():
                        self._young.pop((event.component, event.key), None)
                    case StateReported() | StateWritten():
                        self._note_values(event, now)
                    case (
                        CallAsked()
                        | AnswerUsed()
                        | CallFailed()
                        | CallSurvived()
                        | WorkStatusChanged()
                        | ProcessStarted()
                        | ScheduleFired()
                        | ComponentAttached()
                        | ComponentDetached()
                        | RunBegun()
                        | HistoryKept()
                        | CallsKept()
                        | AnswersKept()
                        | WorkKept()
                    ):
                        pass  # neither begins nor ends an attempt, nor changes the state
                    case _:
                        assert_never(event)

    def _note_values(self, event: StateReported | StateWritten, now: Moment) -> None:
        """Add the numbers among new values to their log, and count the big values."""
        for name, encoded in event.values.items():
            if len(encoded) >= BIG:
                self._big_values.count(f"{event.component}.{name}", encoded)
            elif (number := decode_number(encoded)) is not None:
                self._numbers.add(f"{event.component}.{name}", event.time, number, now.monotonic)

    def _encode(self) -> bytes:
        """Return the entry of all events that were not encoded; the journal keeps it if it can't write it.

        Raises:
            JournalError: A big value can't be written; the events come into the next entry.
        """
        entry = encode_events(self._unencoded, self._journal.keep_value)
        self._unencoded = []
        return entry

    def close(self, note_end: Callable[[dict[str, Any]], None] | None = None) -> None:
        """Compact a journal that has grown, write the events that failed before, and close the journal.

        Args:
            note_end: As for `Journal.close`.
        """
        try:
            journal, is_under_way = self._journal, self._compaction is not None
            if self._unencoded and not journal.is_gone:
                journal.write(self._encode())
            if self._compaction is not None:
                # It would keep the values that were needed when it began.
                self._compaction.abandon()
                self._compaction = None
            if (
                is_under_way
                or journal.size - self._snapshot_size + journal.size_of_new_values > _MIN_GROWTH_AT_END
            ):
                self._compact(None)
        finally:
            if self._compaction is not None:
                self._compaction.abandon()
            self._numbers.flush()
            self._journal.close(note_end)

    def _take_survivors(self, now: Moment) -> list[Event]:
        survived: list[Event] = []
        for (work, key), due in list(self._young.items()):  # the oldest first
            if due > now.monotonic:
                break
            survived.append(CallSurvived(work, key, now.wall))
            del self._young[work, key]
        return survived

    def _compact(self, num_pieces: int | None) -> None:
        """Begin or continue a compaction; if it fails, the run continues with the journal as it is."""
        try:
            if self._compaction is None:
                self._compaction = Compaction(self._journal, self._limit)
            if not self._compaction.advance(num_pieces):
                return
            self._snapshot_size = self._compaction.size
            self._compact_at = _GROWTH_FACTOR * self._snapshot_size + _MIN_GROWTH
            self._compact_at_values = (
                _GROWTH_FACTOR - 1
            ) * self._compaction.size_of_values + _MIN_GROWTH_OF_VALUES
        except JournalGone:
            raise
        except JournalError as error:
            self._compact_at = _GROWTH_FACTOR * self._journal.size + _MIN_GROWTH
            _log.warning("The journal was not compacted, and grows: %s", error)
        self._compaction = None
