"""The journal of a run: its records in order, each written before the flow can see what it says.

A journal is a SQLite database (`journal.db`) with a log next to it (`journal.db-wal`) until it is closed. So
a transaction is complete or absent, even if the process dies in between. SQLite does not detect flipped bits.
Therefore each record has a number and a checksum that includes the checksum of the record before, and all
records are checked before the first is returned. An incomplete end is cut off after the last complete
transaction; any other damage is refused by name. To copy a journal, copy the folder of its run.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from lightning_lite.errors import JournalError
from lightning_lite.runs import database
from lightning_lite.runs.database import refuse
from lightning_lite.runs.lock import RunLock
from lightning_lite.runs.records import (
    CHECKSUM_SIZE,
    Record,
    chain_checksum,
    frame,
    head_checksum,
    read_frames,
    write_frames,
)
from lightning_lite.runs.validation import End, check_content, check_files, check_header
from lightning_lite.runs.values import INLINE_LIMIT, ValueFile, flush_folder, remove_unnamed
from lightning_lite.runs.write_ahead import WriteAheadFile

__all__ = ["Journal", "Record"]


#: Bytes in the write-ahead file above which `secure` commits: that many cost hardly more than the 20 µs of an
#: empty transaction.
_MAX_SECURED = 32 * 1024


class Journal:
    """The journal of one run: `create` makes a new one, `open` continues one.

    Only the thread that opened it may use it. It holds the lock of the run until `close`.

    Attributes:
        path: Absolute path of the file.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     journal = Journal.create(folder, "app.py:Root")
        ...     journal.append(Record("ended", "root.train", "9f3a", b"value"))
        ...     journal.commit()
        ...     journal.close()
        ...     journal = Journal.open(folder, "app.py:Root")
        ...     [record.kind for record in journal.records()]
        ...     journal.close()
        ['ended']
    """

    def __init__(
        self, folder: str, lock: RunLock, connection: sqlite3.Connection, durable: bool, end: End
    ) -> None:
        self.path = _path_in(folder)
        self._folder = folder
        self._lock = lock
        self._connection = connection
        self._durable = durable
        self._end = end
        self._waiting: list[Record] = []
        self._write_ahead = WriteAheadFile(self.path)
        self._secured: list[bytes] = []  # frames that are in the write-ahead file and not in the database
        self._num_secured = 0  # bytes
        self._pid = os.getpid()
        self._is_closed = False

    @classmethod
    def create(cls, folder: str, identity: str, *, durable: bool = False) -> Self:
        """Create the journal of a new run.

        Args:
            folder: Absolute path of the folder of the run, which exists.
            identity: Identity of the app; `open` refuses another one.
            durable: Whether committed records must survive the loss of power.

        Raises:
            JournalInUse: Another process holds the lock of this run.
            JournalError: The run has a journal already, or the journal can't be written.
        """
        path = _path_in(folder)
        with _locked(folder) as lock:
            if os.path.lexists(path):
                raise JournalError(f"the run has a journal already: {path!r}; open that one", file=path)
            nonce = os.urandom(CHECKSUM_SIZE)
            checksum = head_checksum(database.VERSION, os.fsencode(identity), nonce)
            database.build(path, (os.fsencode(identity), nonce, checksum), durable=durable)
            if durable:
                flush_folder(folder)
            connection = database.connect(path, durable=durable)
            return cls(folder, lock, connection, durable, End(0, checksum))

    @classmethod
    def open(cls, folder: str, identity: str, *, durable: bool = False) -> Self:
        """Open the journal of a run that has ended, after a check of every record.

        A journal that is refused is not changed.

        Args:
            folder: Absolute path of the folder of the run.
            identity: Identity of the app.
            durable: Whether records committed from now on must survive the loss of power.

        Raises:
            NothingToResume: The run has no journal.
            JournalInUse: Another process holds the lock of this run; the error names it.
            JournalCorrupt: The journal is damaged, or the file is not a journal.
            JournalVersion: Another version of this package wrote the journal.
            JournalMismatch: Another app wrote the journal.
            JournalError: The journal belongs to another user, or can't be read or written.
        """
        path = _path_in(folder)
        check_files(path)
        with _locked(folder) as lock:
            end = _find_end(path, identity)
            rows = WriteAheadFile(path).read(end.sequence, end.checksum)
            for row in rows:
                if row.in_file:
                    ValueFile.from_reference(folder, row.sequence, row.data)  # refused if the file is missing
            journal = cls(folder, lock, database.connect(path, durable=durable), durable, end)
            try:
                if rows:
                    journal._end = End(rows[-1].sequence, rows[-1].checksum)
                    journal._write(journal._end, write_frames(rows))
                journal._write_ahead.remove()
                remove_unnamed(folder, journal._end.sequence)
            except BaseException:
                journal._connection.close()
                raise
            return journal

    def records(self) -> Iterator[Record]:
        """Yield all committed records in order; call it before the first `append`.

        Big data stays on disk: `Record.load` reads and checks it.
        """
        try:
            for _, frames in self._connection.execute(database.READ):
                for row in read_frames(frames):
                    data: bytes | ValueFile = row.data
                    if row.in_file:
                        data = ValueFile.from_reference(self._folder, row.sequence, row.data)
                    yield Record(row.kind, row.component, row.key, data, row.time)
        except database.FAILURES as error:
            refuse(error, self.path)

    def append(self, record: Record) -> None:
        """Add a record; `secure` or `commit` writes it."""
        self._waiting.append(record)

    def secure(self) -> None:
        """Write the appended records to the write-ahead file, as one transaction.

        When it returns, they survive the death of any process. `commit` later copies them into the database.
        With `durable` it commits at once.

        Raises:
            JournalError: They can't be written: no space, for example.
        """
        if not self._waiting:
            return
        if self._durable or self._num_secured > _MAX_SECURED:
            self.commit()
            return
        self._check_process()
        num_before, is_written = len(self._secured), False
        data, end = b"", self._end
        try:
            data, end = self._seal_waiting()
            self._write_ahead.write(data)
            is_written = True
            self._secured.append(data)
            self._num_secured += len(data)
            self._note_end(end)
        except database.FAILURES as error:
            refuse(error, self.path)
        except BaseException:  # Ctrl-C may interrupt between any two lines
            if is_written:
                self._secured[num_before:] = [data]
                self._note_end(end)
            raise

    @property
    def is_ahead(self) -> bool:
        """Whether records are in the write-ahead file and not yet in the database."""
        return bool(self._secured)

    def commit(self) -> None:
        """Write the appended and the secured records into the database, as one transaction.

        When it returns, they survive the death of any process, and with `durable` the loss of power. If it is
        interrupted, all of them are written or none, and each only once: the next `commit` writes the others.

        Raises:
            JournalError: They can't be written: no space, for example.
        """
        if not self._waiting and not self._secured:
            return
        self._check_process()
        end: End | None = None
        try:
            data, end = self._seal_waiting()
            self._write(end, b"".join((*self._secured, data)))
            self._note_commit(end)
        except database.FAILURES as error:
            refuse(error, self.path)
        except BaseException:  # Ctrl-C may interrupt between any two lines
            if end is not None and self._has(end):
                self._note_commit(end)
            raise

    def close(self) -> None:
        """Commit the remaining records and release the lock of the run; a second call has no effect.

        Raises:
            JournalError: The records can't be written; the lock is released in this case too.
        """
        if self._is_closed:
            return
        try:
            self.commit()
            if self._pid == os.getpid():  # the file belongs to the parent of a forked process
                self._write_ahead.remove()
        finally:
            self._waiting.clear()
            self._write_ahead.close()  # keeps the records that could not be committed
            self._connection.close()
            self._lock.release()
            self._is_closed = True

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise JournalError(
                f"only process {self._pid} may write the journal {self.path!r}, "
                "not a process that was forked from it",
                file=self.path,
            )

    def _seal_waiting(self) -> tuple[bytes, End]:
        """Write the files of big values; return the frames of the waiting records and the end after them."""
        parts: list[bytes] = []
        number, checksum = self._end.sequence, self._end.checksum
        last = number + len(self._waiting)
        for kind, component, key, data, time in self._waiting:
            number += 1
            if not isinstance(data, bytes):
                data = data.load()
            in_file = len(data) > INLINE_LIMIT
            if in_file:
                data = ValueFile.write(self._folder, number, data, durable=self._durable).reference
            ends = number == last
            framed = frame(number, kind, component, key, data, time, in_file, ends)
            checksum = chain_checksum(checksum, framed)
            parts += framed, checksum
        return b"".join(parts), End(number, checksum)

    def _write(self, end: End, frames: bytes) -> None:
        """Write a batch; a single statement is a transaction."""
        self._connection.execute(database.WRITE, (end.sequence, frames))

    def _has(self, end: End) -> bool:
        """Return whether the database has a batch, although its transaction was interrupted."""
        return self._connection.execute(database.FIND, (end.sequence,)).fetchone() is not None

    def _note_end(self, end: End) -> None:
        """Record that the waiting records are written."""
        self._end = end
        self._waiting.clear()

    def _note_commit(self, end: End) -> None:
        """Record that the database has all records, and free the space of the write-ahead file."""
        self._note_end(end)
        self._secured.clear()
        self._num_secured = 0
        self._write_ahead.release_space()


def _path_in(folder: str) -> str:
    return os.path.join(folder, "journal.db")


@contextmanager
def _locked(folder: str) -> Iterator[RunLock]:
    """Take the lock of a run, and release it if the block fails; errors of SQLite become `JournalError`."""
    lock = RunLock(folder)
    lock.acquire()
    try:
        yield lock
    except BaseException as error:
        lock.release()
        if isinstance(error, database.FAILURES):
            refuse(error, _path_in(folder))
        raise


def _find_end(path: str, identity: str) -> End:
    """Check a journal without changing it, and return its end."""
    check_header(path)
    connection = database.connect_read_only(path)
    try:
        return check_content(connection, path, os.fsencode(identity))
    finally:
        connection.close()
