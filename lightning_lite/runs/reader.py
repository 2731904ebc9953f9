"""Reads the records of a journal without a lock and without changing a file."""

from __future__ import annotations

import os
import sqlite3

from lightning_lite.runs import database
from lightning_lite.runs.records import Record, Row, read_frames
from lightning_lite.runs.validation import check_content, check_version, find_files
from lightning_lite.runs.values import ValueFile
from lightning_lite.runs.write_ahead import WriteAheadFile


def read_records(path: str) -> list[Record]:
    """Return the records of all complete transactions of a run, after checking each.

    Args:
        path: Absolute path of the folder of the run.

    Raises:
        NothingToResume: The run has no journal.
        JournalError: The journal is damaged, of another version, or can't be read.
    """
    file = os.path.join(path, "journal.db")
    for _ in find_files(file):
        pass  # Refuses a file that is not regular before SQLite opens it: opening a FIFO would block.
    try:
        return _read(path, file)
    except database.FAILURES as error:
        database.refuse(error, file)


def _read(path: str, file: str) -> list[Record]:
    connection = database.connect_read_only(file)
    try:
        connection.execute("BEGIN")  # All queries see the same snapshot, although the app may still write.
        end = check_content(connection, file, _identity(connection, file))
        rows = [row for _, frames in connection.execute(database.READ) for row in read_frames(frames)]
        rows += WriteAheadFile(file).read(end.sequence, end.checksum)
        return [_record(path, row) for row in rows]
    finally:
        connection.close()


def _identity(connection: sqlite3.Connection, file: str) -> bytes:
    """Return the identity of the app that wrote a journal; a reader accepts every app."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != database.APPLICATION_ID:
        raise database.corrupt(file, None, "it is not a journal")
    check_version(file, *connection.execute("PRAGMA user_version").fetchone())
    heads = connection.execute("SELECT identity FROM journal").fetchall()
    return heads[0][0] if heads and type(heads[0][0]) is bytes else b""


def _record(path: str, row: Row) -> Record:
    data = ValueFile.from_reference(path, row.sequence, row.data) if row.in_file else row.data
    return Record(row.kind, row.component, row.key, data, row.time)
