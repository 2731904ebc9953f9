"""The file of a journal as a SQLite database: its form, how it is made and opened."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import NoReturn
from urllib.parse import quote

from lightning_lite.errors import JournalCorrupt, JournalError
from lightning_lite.text import one_line

#: Version of the form in which a journal is kept.
VERSION = 3

#: Where SQLite keeps it, so that other programs know a journal from other databases.
APPLICATION_ID = int.from_bytes(b"LLjr")

TABLES = (
    "CREATE TABLE journal (identity BLOB, nonce BLOB, checksum BLOB)",
    # Many records in one row, under the number of the last: one row for each would cost five times as much.
    "CREATE TABLE batch (sequence INTEGER PRIMARY KEY, frames BLOB)",
)

READ = "SELECT sequence, frames FROM batch ORDER BY sequence"
FIND = "SELECT 1 FROM batch WHERE sequence = ?"
WRITE = "INSERT INTO batch VALUES (?, ?)"

_PAGE_SIZE = 4096
#: Pages of the write-ahead log (16 MiB) after which SQLite moves them into the database, in milliseconds.
_CHECKPOINT_PAGES = 4096
#: Seconds to wait for another program that looks into the journal with tools of its own.
_BUSY_TIMEOUT = 5.0

#: What reading and writing may raise; the last one if SQLite's own message holds bytes of a damaged file.
FAILURES = (sqlite3.Error, OSError, UnicodeDecodeError)

#: What says that the disk or another program is in the way, not that the file is damaged.
_IN_THE_WAY = {
    sqlite3.SQLITE_FULL: "no space left",
    sqlite3.SQLITE_IOERR: "input/output error",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_BUSY: "another program has locked it",
    sqlite3.SQLITE_LOCKED: "another program has locked it",
}


def build(path: str, head: tuple[bytes, bytes, bytes], *, durable: bool) -> None:
    """Make the file of an empty journal, at once whole: who dies before leaves nothing at `path`.

    Args:
        path: The file.
        head: Identity, nonce and checksum with which the chain begins.
        durable: Whether it must survive the loss of power.

    Raises:
        OSError: It can't be made.
        sqlite3.Error: It can't be written.
    """
    new = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(new)
    os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    connection = sqlite3.connect(new, isolation_level=None)
    try:
        _set(
            connection,
            page_size=_PAGE_SIZE,
            auto_vacuum=0,
            encoding="'UTF-8'",
            journal_mode="MEMORY",
            synchronous="FULL" if durable else "OFF",
            application_id=APPLICATION_ID,
            user_version=VERSION,
        )
        connection.execute("BEGIN")
        for table in TABLES:
            connection.execute(table)
        connection.execute("INSERT INTO journal VALUES (?, ?, ?)", head)
        connection.execute("COMMIT")
        _set(connection, journal_mode="WAL")
    finally:
        connection.close()
    os.rename(new, path)


def connect(path: str, *, durable: bool) -> sqlite3.Connection:
    """Open the file for writing.

    Raises:
        sqlite3.Error: It can't be opened.
    """
    return _connect(
        path, "rw", synchronous="FULL" if durable else "NORMAL", wal_autocheckpoint=_CHECKPOINT_PAGES
    )


def connect_to_look(path: str) -> sqlite3.Connection:
    """Open the file for reading; whatever is found, the file and its log stay as they are.

    Raises:
        sqlite3.Error: It can't be opened.
    """
    # Without a log nobody writes to it, and SQLite need not make one to read.
    mode = "ro" if os.path.exists(f"{path}-wal") else "ro&immutable=1"
    return _connect(path, mode, trusted_schema="OFF", cell_size_check="ON")


def _connect(path: str, mode: str, **settings: str | int) -> sqlite3.Connection:
    connection = sqlite3.connect(
        f"file:{quote(path)}?mode={mode}", uri=True, isolation_level=None, timeout=_BUSY_TIMEOUT
    )
    try:
        _set(connection, **settings)
    except BaseException:
        connection.close()
        raise
    return connection


def _set(connection: sqlite3.Connection, **settings: str | int) -> None:
    for name, value in settings.items():
        connection.execute(f"PRAGMA {name} = {value}")


def corrupt(path: str, sequence: int | None, what: str) -> JournalCorrupt:
    """Return the error for a journal that is damaged.

    Args:
        path: The file.
        sequence: Number of the record that is wrong, or `None`.
        what: What is wrong.
    """
    where = "" if sequence is None else f" at record {sequence}"
    return JournalCorrupt(
        f"the journal {path!r} is damaged{where}: {what}; begin a new run, or restore this one from a copy",
        file=path,
        sequence=sequence,
        what=what,
    )


def refuse(error: Exception, path: str) -> NoReturn:
    """Raise what SQLite or the system found, as an error of ours.

    Args:
        error: One of `FAILURES`.
        path: The file.

    Raises:
        JournalCorrupt: The file is damaged.
        JournalError: Something else is in the way.
    """
    if isinstance(error, OSError):
        reason = os.strerror(error.errno or 0)
    else:
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF
        if code not in _IN_THE_WAY:
            raise corrupt(path, None, f"SQLite says: {one_line(str(error))}") from error
        reason = _IN_THE_WAY[code]
    raise JournalError(
        f"the journal {path!r} can't be read or written: {reason}; what it holds stays as it is",
        file=path,
    ) from error
