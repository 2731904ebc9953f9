"""Follows one run: reads on in its journal, and keeps its history and its index up to date.

    follower = RunFollower("/root/runs/20261122-035501123-9f3ac2")
    follower.follow()
    with follower.lock:
        print(len(follower.history.works), follower.index.failures.total)

Each byte of the journal is read and checked once. When the run has compacted its journal and so replaced
it, the new one is read from its start; the data of the old one stay visible until the new one is read to
its end.
"""

from __future__ import annotations

import os
from threading import RLock
from time import monotonic

from lightning_lite.engine.history import RunHistory
from lightning_lite.errors import JournalError, NothingToResume
from lightning_lite.events import Event
from lightning_lite.monitor.event_index import EventIndex, WorkCounts
from lightning_lite.monitor.event_reader import EventReader, Stamp, stamp_of
from lightning_lite.runs.journal_format import FILE_NAME, JournalReplaced

#: Seconds for which `RunFollower.follow` reads by default.
BUDGET = 0.05


class RunFollower:
    """Reads the journal of one run as it grows; any thread may use it.

    Hold `lock` while you read `history` and `index`, because another thread may call `follow`. Both grow in
    place. They are replaced by others when `generation` grows.

    Args:
        path: Absolute path of the folder of the run, which may have no journal yet.

    Attributes:
        lock: The lock; the thread that holds it may take it again.
        path: As given.
        history: The history of the run, as far as it was read.
        index: Failures, times of changes and newest events, as far as they were read.
        generation: Grows when the journal was replaced, and read from its start again.
        revision: Grows when `history` and `index` have changed.
        bytes_read: Number of bytes of the journal that were read and checked.
        size: Size of the journal in bytes when it was last looked at.
        is_complete: Whether `follow` has read all that was there when it was called last.
        trouble: Why the journal can't be read on, as a sentence; "" if it can. Data that were read stay.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     follower = RunFollower(folder)
        ...     follower.follow(), follower.history.works, follower.trouble
        (False, {}, '')
    """

    def __init__(self, path: str) -> None:
        self.lock = RLock()
        self.path = path
        self.generation = 0
        self.revision = 0
        self.is_complete = False
        self.trouble = ""
        self._shown = _Reading(path)
        self._next: _Reading | None = None  # of a journal that has replaced the one that is shown
        self._stamp: Stamp | None = None  # of the file when it was read to its end, or refused

    @property
    def history(self) -> RunHistory:  # noqa: D102 - see the attributes of the class
        return self._shown.history

    @property
    def index(self) -> EventIndex:  # noqa: D102 - see the attributes of the class
        return self._shown.index

    @property
    def bytes_read(self) -> int:  # noqa: D102 - see the attributes of the class
        return self._shown.reader.bytes_read

    @property
    def size(self) -> int:  # noqa: D102 - see the attributes of the class
        return self._shown.reader.size

    def counts(self, work: str) -> WorkCounts:
        """Return the numbers of calls, successes and failures of a work."""
        return self.index.counts(work)

    def follow(self, budget: float = BUDGET) -> bool:
        """Read the new events, and return whether `history` has changed.

        A journal that can't be read raises no error: `trouble` says why.

        Args:
            budget: Seconds for which it may read, about; the next call continues.
        """
        with self.lock:
            before = self.revision
            try:
                self._follow(monotonic() + budget)
            except NothingToResume:
                self.is_complete = True
                self.trouble = self._describe_absence()
            except JournalError as error:
                self.is_complete = True
                self.trouble = str(error)
            return self.revision != before

    def _follow(self, due: float) -> None:
        try:
            stamp = stamp_of(self.path)
        except (NothingToResume, JournalError):
            self._stamp = None  # it may come back unchanged
            raise
        reading = self._next or self._shown
        if not reading.reader.is_under_way:
            if stamp == self._stamp:
                return
            self._stamp = stamp
        try:
            self._read_on(reading, due)
        except JournalReplaced:
            self._next = _Reading(self.path, self._shown.index)
            self._read_on(self._next, due)

    def _read_on(self, reading: _Reading, due: float) -> None:
        """Read on, and show the data; a new journal only when it was read to its end."""
        reader = reading.reader
        before = reader.num_entries
        try:
            reader.read_on(due)
        except JournalError:
            self._next = None
            raise
        finally:
            if reading is self._shown and reader.num_entries != before:
                self.revision += 1
        if reader.is_broken:
            return  # the trouble stays, too
        self.trouble = ""
        self.is_complete = not reader.is_under_way
        if reading is self._next and self.is_complete:
            self._shown, self._next = reading, None
            self.generation += 1
            self.revision += 1

    def _describe_absence(self) -> str:
        if not os.path.isdir(self.path):
            return f"the run was removed: there is no folder {self.path!r}"
        if self.bytes_read:
            return f"the journal of the run was removed from {self.path!r}; put it back from a copy"
        return ""  # the run has only just begun


class _Reading:
    """One reading of a journal from its start on.

    Attributes:
        history: The history, as far as it has read it.
        index: The index of that.
        reader: The reader, which adds to both.
    """

    def __init__(self, path: str, earlier: EventIndex | None = None) -> None:
        self.history = history = RunHistory(os.path.join(path, FILE_NAME), is_lazy=True)
        self.index = index = EventIndex(history, earlier)

        def note(event: Event) -> None:  # no method: a cycle of references would keep the memory
            history.apply(event)
            index.note(event)

        self.reader = EventReader(path, note)
