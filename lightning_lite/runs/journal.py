"""The journal of a run: what happened, in order, written before the flow can see it.

A journal is a SQLite database (`journal.db`) with a log beside it (`journal.db-wal`) until it is closed,
so a transaction is there wholly or not at all, whoever dies when. SQLite does not notice flipped bits;
so each record has a number and a checksum chained to the one before, and all are checked before the
first one is handed out. A torn tail leaves the journal up to its last whole transaction; everything
else that is wrong is refused by name. Whoever copies a journal copies the folder of its run.
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
    frame,
    read_frames,
    seal,
    seal_head,
    write_frames,
)
from lightning_lite.runs.validation import End, check_content, check_files, check_header
from lightning_lite.runs.values import INLINE_LIMIT, ValueFile, flush_folder, remove_unnamed
from lightning_lite.runs.write_ahead import Ahead

__all__ = ["Journal", "Record"]


#: Bytes from which what was secured is committed: a transaction costs 20 µs, and one of so much hardly more.
_MAX_SECURED = 32 * 1024


class Journal:
    """The journal of one run: `create` begins one, `open` goes on with one.

    It is for the thread that opened it, and locked against everybody else until `close`.

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
        self._ahead = Ahead(self.path)
        self._secured: list[bytes] = []  # frames in the file ahead of the database
        self._num_secured = 0  # bytes
        self._pid = os.getpid()
        self._is_closed = False

    @classmethod
    def create(cls, folder: str, identity: str, *, durable: bool = False) -> Self:
        """Begin the journal of a new run.

        Args:
            folder: Absolute path of the folder of the run, which exists.
            identity: Which app it is; `open` wants the same.
            durable: Whether what was committed must survive the loss of power.

        Raises:
            JournalInUse: Another process holds this run.
            JournalError: There is a journal already, or it can't be written.
        """
        path = _path_in(folder)
        with _locked(folder) as lock:
            if os.path.lexists(path):
                raise JournalError(f"the run has a journal already: {path!r}; open that one", file=path)
            nonce = os.urandom(CHECKSUM_SIZE)
            checksum = seal_head(database.VERSION, os.fsencode(identity), nonce)
            database.build(path, (os.fsencode(identity), nonce, checksum), durable=durable)
            if durable:
                flush_folder(folder)
            connection = database.connect(path, durable=durable)
            return cls(folder, lock, connection, durable, End(0, checksum))

    @classmethod
    def open(cls, folder: str, identity: str, *, durable: bool = False) -> Self:
        """Go on with the journal of a run that is over, after a look at every record.

        What is refused stays as it is, byte for byte.

        Args:
            folder: Absolute path of the folder of the run.
            identity: Which app it is.
            durable: Whether what is committed from now on must survive the loss of power.

        Raises:
            NothingToResume: The run has no journal.
            JournalInUse: Another process holds this run; the error says which one, and since when.
            JournalCorrupt: It is damaged, or something else than a journal.
            JournalVersion: Another version of this package wrote it, in another form.
            JournalMismatch: Another app wrote it.
            JournalError: It belongs to another user, or can't be read or written.
        """
        path = _path_in(folder)
        check_files(path)
        with _locked(folder) as lock:
            end = _find_end(path, identity)
            rows = Ahead(path).read(end.sequence, end.checksum)
            for row in rows:
                if row.in_file:
                    ValueFile.from_reference(folder, row.sequence, row.data)  # refused if it is gone
            journal = cls(folder, lock, database.connect(path, durable=durable), durable, end)
            try:
                if rows:
                    journal._end = End(rows[-1].sequence, rows[-1].checksum)
                    journal._write(journal._end, write_frames(rows))
                journal._ahead.remove()
                remove_unnamed(folder, journal._end.sequence)
            except BaseException:
                journal._connection.close()
                raise
            return journal

    def records(self) -> Iterator[Record]:
        """Yield all committed records in order; to be read before the first `append`.

        The data of big ones stays on disk: `Record.load` fetches and checks it.
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
        """Note a record; `secure` and `commit` write it."""
        self._waiting.append(record)

    def secure(self) -> None:
        """Let what was appended survive the death of any process, as one transaction, but not yet commit it.

        With `durable` it is committed at once.

        Raises:
            JournalError: It can't be written: no space, for example.
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
            self._ahead.write(data)
            is_written = True
            self._secured.append(data)
            self._num_secured += len(data)
            self._note_end(end)
        except database.FAILURES as error:
            refuse(error, self.path)
        except BaseException:  # Ctrl-C comes between any two lines
            if is_written:
                self._secured[num_before:] = [data]
                self._note_end(end)
            raise

    @property
    def is_ahead(self) -> bool:
        """Whether records are secured and not committed."""
        return bool(self._secured)

    def commit(self) -> None:
        """Write what was appended into the database, as one transaction; if nothing was, it costs nothing.

        When it returns, the records survive the death of any process, and with `durable` the loss of
        power. Whatever interrupts it, all of them are written or none, and each one only once: what is not
        written waits for the next `commit`.

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
            self._let_go(end)
        except database.FAILURES as error:
            refuse(error, self.path)
        except BaseException:  # Ctrl-C comes between any two lines
            if end is not None and self._has(end):
                self._let_go(end)
            raise

    def close(self) -> None:
        """Commit what waits, and give the run back; the second time nothing happens.

        Raises:
            JournalError: What waits can't be written; the run is given back all the same.
        """
        if self._is_closed:
            return
        try:
            self.commit()
            if self._pid == os.getpid():  # a forked process holds a copy of what is its parent's
                self._ahead.remove()
        finally:
            self._waiting.clear()
            self._ahead.close()  # what could not be committed stays there
            self._connection.close()
            self._lock.release()
            self._is_closed = True

    def _check_process(self) -> None:
        if self._pid != os.getpid():
            raise JournalError(
                f"the journal {self.path!r} is written by process {self._pid} alone, "
                "not by a process that was forked from it",
                file=self.path,
            )

    def _seal_waiting(self) -> tuple[bytes, End]:
        """Return the frames of what waits, after the files of the big values are written, and their end."""
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
            checksum = seal(checksum, framed)
            parts += framed, checksum
        return b"".join(parts), End(number, checksum)

    def _write(self, end: End, frames: bytes) -> None:
        """Write a batch; the statement is a transaction by itself."""
        self._connection.execute(database.WRITE, (end.sequence, frames))

    def _has(self, end: End) -> bool:
        """Return whether a batch was written after all."""
        return self._connection.execute(database.FIND, (end.sequence,)).fetchone() is not None

    def _note_end(self, end: End) -> None:
        """Take note that what waited is safe."""
        self._end = end
        self._waiting.clear()

    def _let_go(self, end: End) -> None:
        """Take note that all is in the database."""
        self._note_end(end)
        self._secured.clear()
        self._num_secured = 0
        self._ahead.let_go()


def _path_in(folder: str) -> str:
    return os.path.join(folder, "journal.db")


@contextmanager
def _locked(folder: str) -> Iterator[RunLock]:
    """Take the lock of a run, and give it back if the block fails; what SQLite raises becomes ours."""
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
    """Check a journal without changing it, and return where it ends."""
    check_header(path)
    connection = database.connect_to_look(path)
    try:
        return check_content(connection, path, os.fsencode(identity))
    finally:
        connection.close()
