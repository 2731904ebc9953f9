"""Reads the events of a journal that grows, a part at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator
from time import monotonic

from lightning_lite.engine.history import collector_paused
from lightning_lite.events import Event
from lightning_lite.runs.event_codec import decode_entry
from lightning_lite.runs.journal_format import FILE_NAME, JournalReader, checked_status

#: Entries that are read between two looks at the clock.
_ENTRIES_PER_LOOK = 20

#: Shows whether a journal was written to or replaced: device, inode, size, times.
Stamp = tuple[int, int, int, int, int]


class EventReader:
    """Reads the events of one journal from its start on, each once.

    Args:
        path: Absolute path of the folder of the run.
        note: Is called with each event.

    Attributes:
        num_entries: Number of entries whose events were noted.
        is_broken: Whether the events of an entry could not be noted, so that nothing after it can be read.
    """

    def __init__(self, path: str, note: Callable[[Event], None]) -> None:
        self._file = os.path.join(path, FILE_NAME)
        self._note = note
        self._reader = JournalReader(path)
        self._entries: Generator[bytes] | None = None
        self.num_entries = 0
        self.is_broken = False

    @property
    def bytes_read(self) -> int:
        """Number of bytes of the journal that were read and checked."""
        return self._reader.offset

    @property
    def size(self) -> int:
        """Size of the journal in bytes when it was opened last."""
        return self._reader.size

    @property
    def is_under_way(self) -> bool:
        """Whether the last `read_on` had no time to reach the end.

        The file stays open until then: a run that is compacted often replaces it before that, and would never
        be read to its end.
        """
        return self._entries is not None

    def read_on(self, due: float) -> None:
        """Read the next entries, until a time in monotonic seconds.

        Raises:
            JournalReplaced: It is no longer the journal that was read before; begin again, with a new reader.
            NothingToResume: There is no journal.
            JournalError: It can't be read.
        """
        if self.is_broken:
            self._reader.check()
            return
        entries, self._entries = self._entries or self._reader.read_on(), None
        with collector_paused():
            for entry in entries:
                try:
                    for event in decode_entry(entry, self._file):
                        self._note(event)
                except BaseException:
                    self.is_broken = True
                    entries.close()
                    raise
                self.num_entries += 1
                if self.num_entries % _ENTRIES_PER_LOOK == 0 and monotonic() >= due:
                    self._entries = entries
                    return


def stamp_of(path: str) -> Stamp:
    """Return a value that differs after the journal of a run has changed.

    Args:
        path: Absolute path of the folder of the run.

    Raises:
        NothingToResume: There is no journal.
        JournalError: It is not a regular file, or the folder is a link.
    """
    found = checked_status(path)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns
