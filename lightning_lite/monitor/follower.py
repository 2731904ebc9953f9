"""Follows one run: reads on in its journal, and keeps its history and its index up to date.

    follower = RunFollower("/root/runs/20261122-035501123-9f3ac2")
    follower.follow()
    with follower.lock:
        print(len(follower.history.works), follower.index.failures.total)

Each byte of the journal is read and checked once. When the run has compacted its journal and so replaced
it, the new one is read from its start; what is known stays visible until that has caught up.
"""

from __future__ import annotations

import os
from collections.abc import Generator
from threading import RLock
from time import monotonic

from lightning_lite.engine.history import RunHistory, collector_paused
from lightning_lite.errors import JournalError, NothingToResume
from lightning_lite.monitor.run_index import RunIndex, WorkCounts
from lightning_lite.runs.event_codec import decode_events
from lightning_lite.runs.journal_format import FILE_NAME, JournalReader, JournalReplaced, find_file

#: Seconds for which `RunFollower.follow` reads if it is not told.
BUDGET = 0.05

#: Entries that are folded between two looks at the clock.
_ENTRIES_PER_LOOK = 20

#: What tells whether a file was written to or replaced: device, inode, size, times.
_Stamp = tuple[int, int, int, int, int]


class RunFollower:
    """Reads the journal of one run as it grows; any thread may use it.

    Hold `lock` while you read `history` and `index`, because another thread may call `follow`. Both grow in
    place. They are replaced by others when `generation` grows.

    Args:
        path: Absolute path of the folder of the run, which may have no journal yet.

    Attributes:
        lock: The lock; the thread that holds it may take it again.
        path: As given.
        history: What has happened in the run, as far as it was read.
        index: Failures, times of changes and newest events, as far as they were read.
        generation: Grows when the journal was replaced, and read from its start again.
        revision: Grows when `history` and `index` have changed.
        bytes_read: Number of bytes of the journal that were read and checked.
        size: Size of the journal in bytes when it was last looked at.
        is_complete: Whether `follow` has read all that was there when it was called last.
        trouble: Why the journal can't be read on, as a sentence; "" if it can. What was read stays.

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
        self._stamp: _Stamp | None = None  # of the file when it was read to its end, or refused

    @property
    def history(self) -> RunHistory:  # noqa: D102 - see the attributes of the class
        return self._shown.history

    @property
    def index(self) -> RunIndex:  # noqa: D102 - see the attributes of the class
        return self._shown.index

    @property
    def bytes_read(self) -> int:  # noqa: D102 - see the attributes of the class
        return self._shown.reader.offset

    @property
    def size(self) -> int:  # noqa: D102 - see the attributes of the class
        return self._shown.reader.size

    def counts(self, work: str) -> WorkCounts:
        """Return the numbers of calls, successes and failures of a work."""
        return self.index.counts(work)

    def follow(self, budget: float = BUDGET) -> bool:
        """Read what is new, and return whether `history` has changed.

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
            stamp = _stamp_of(self.path)
        except (NothingToResume, JournalError):
            self._stamp = None  # it may come back unchanged
            raise
        reading = self._next or self._shown
        if not reading.is_under_way:
            if stamp == self._stamp:
                return
            self._stamp = stamp
        try:
            if reading.is_broken:
                reading.reader.check()
                return
            self.trouble = ""
            self._read_on(reading, due)
        except JournalReplaced:
            self.trouble = ""
            self._next = _Reading(self.path, self._shown.index)
            self._read_on(self._next, due)

    def _read_on(self, reading: _Reading, due: float) -> None:
        """Read on, and show what was read; a new journal only when it was read to its end."""
        before = reading.num_entries
        try:
            reading.read_on(due)
        except JournalError:
            self._next = None
            raise
        finally:
            if reading is self._shown and reading.num_entries != before:
                self.revision += 1
        self.is_complete = not reading.is_under_way
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
        reader: The reader.
        history: What it has read.
        index: The index of that.
        num_entries: Number of entries that were folded.
        is_broken: Whether an entry could not be folded, so that it can't be read on.
    """

    def __init__(self, path: str, earlier: RunIndex | None = None) -> None:
        self._file = os.path.join(path, FILE_NAME)
        self._entries: Generator[bytes] | None = None
        self.reader = JournalReader(path)
        self.history = RunHistory(self._file, is_lazy=True)
        self.index = RunIndex(self.history, earlier)
        self.num_entries = 0
        self.is_broken = False

    @property
    def is_under_way(self) -> bool:
        """Whether the last `read_on` had no time to reach the end.

        The file stays open until then: a run that is compacted often replaces it before that, and would never
        be read to its end.
        """
        return self._entries is not None

    def read_on(self, due: float) -> None:
        """Fold the next entries, until a time in monotonic seconds.

        Raises:
            JournalReplaced: It is no longer the journal that was read before.
            NothingToResume: There is no journal.
            JournalError: It can't be read.
        """
        entries, self._entries = self._entries or self.reader.read_on(), None
        with collector_paused():
            for entry in entries:
                try:
                    self._fold(entry)
                except BaseException:
                    self.is_broken = True
                    entries.close()
                    raise
                self.num_entries += 1
                if self.num_entries % _ENTRIES_PER_LOOK == 0 and monotonic() >= due:
                    self._entries = entries
                    return

    def _fold(self, entry: bytes) -> None:
        for event in decode_events((entry,), self._file):
            self.history.apply(event)
            self.index.note(event)


def _stamp_of(path: str) -> _Stamp:
    found = find_file(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
