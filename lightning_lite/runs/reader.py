"""Reads the records of a journal without opening it for writing: no lock is taken, nothing is changed."""

from __future__ import annotations

import os
import sqlite3

from lightning_lite.runs import database
from lightning_lite.runs.records import Record, Row, read_frames
from lightning_lite.runs.validation import check_content, check_version, look_at_files
from lightning_lite.runs.values import ValueFile
from lightning_lite.runs.write_ahead import Ahead


def read_records(path: str) -> list[Record]:
    """Return the records of all whole transactions of a run, after a look at each.

    Args:
        path: Absolute path of the folder of the run.

    Raises:
        NothingToResume: It has no journal.
        JournalError: The journal is damaged, of another version or another user, or can't be read.
    """
    file = os.path.join(path, "journal.db")
    for _ in look_at_files(file):
        pass  # what is no regular file is refused before SQLite opens it
    try:
        return _read(path, file)
    except database.FAILURES as error:
        database.refuse(error, file)


def _read(path: str, file: str) -> list[Record]:
    connection = database.connect_to_look(file)
    try:
        connection.execute("BEGIN")  # one and the same moment for all that is read
        end = check_content(connection, file, _identity(connection, file))
        rows = [row for _, frames in connection.execute(database.READ) for row in read_frames(frames)]
        rows += Ahead(file).read(end.sequence, end.checksum)
        return [_record(path, row) for row in rows]
    finally:
        connection.close()


def _identity(connection: sqlite3.Connection, file: str) -> bytes:
    """Return which app has written a journal; whoever looks takes any."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application != database.APPLICATION_ID:
        raise database.corrupt(file, None, "it is something else than a journal")
    check_version(file, *connection.execute("PRAGMA user_version").fetchone())
    heads = connection.execute("SELECT identity FROM journal").fetchall()
    return heads[0][0] if heads and type(heads[0][0]) is bytes else b""


def _record(path: str, row: Row) -> Record:
    data = ValueFile.from_reference(path, row.sequence, row.data) if row.in_file else row.data
    return Record(row.kind, row.component, row.key, data, row.time)
