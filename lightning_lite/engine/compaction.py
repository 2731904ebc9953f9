"""Replaces the journal of a run by a snapshot, in small pieces, while the app runs.

The entries written so far are read and folded, the history that they give is written to a new file, and the
new file gets the entries that were written in the meantime. Only the thread that writes the journal may use
it, so that thread does the work, in small pieces, because each step of the app waits for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import AnswersKept, CallsKept, Event
from lightning_lite.runs.event_codec import decode_events, encode_events
from lightning_lite.runs.journal import Journal


class Compaction:
    """One compaction of a journal.

    Args:
        journal: The journal.
        limit: Number of ended calls, and of times, that the history keeps.

    Attributes:
        size: Size of the snapshot in bytes, after the end.
        size_of_values: Size in bytes of the files of big values to which it refers.

    Raises:
        JournalError: The new file can't be written.
    """

    def __init__(self, journal: Journal, limit: int) -> None:
        self._journal = journal
        self._rewrite = journal.rewrite()
        self._pieces = self._run(limit)
        self.size = self.size_of_values = 0

    def advance(self, num_pieces: int | None = None) -> bool:
        """Do some pieces of the work, or all that is left; return whether the compaction is complete.

        Args:
            num_pieces: Number of pieces, of some 10 microseconds each; `None` for all.

        Raises:
            JournalError: The new file can't be written, or the journal can't be read; it is unchanged.
        """
        try:
            for number, _ in enumerate(self._pieces, 1):
                if number == num_pieces:
                    return False
        except BaseException:
            self.abandon()
            raise
        return True

    def abandon(self) -> None:
        """Remove the new file; the journal stays as it is. Without effect after the end."""
        self._rewrite.abandon()

    def _run(self, limit: int) -> Iterator[None]:
        journal, rewrite = self._journal, self._rewrite
        history = RunHistory(journal.path, is_lazy=True)
        for event in decode_events(journal.entries(), journal.path):
            history.apply(event)
            yield from _pieces_of(event)
        for event in history.snapshot(limit):
            rewrite.write(encode_events([event], journal.keep_value))
            yield from _pieces_of(event)
        files = history.value_files()
        self.size, self.size_of_values = rewrite.size, sum(files.values())
        rewrite.finish(files.keys())


def _pieces_of(event: Event) -> Iterator[None]:
    """Yield once for each piece of work that an event was."""
    yield
    if isinstance(event, CallsKept):
        yield from repeat(None, len(event.calls))
    elif isinstance(event, AnswersKept):
        yield from repeat(None, len(event.keys) // 10)
