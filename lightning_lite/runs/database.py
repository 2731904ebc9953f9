"""The SQLite database of a journal: its tables, how it is created and opened, and its errors."""

from __future__ import annotations

import os
import sqlite3
from contextlib import suppress
from typing import NoReturn
from urllib.parse import quote

from lightning_lite.errors import JournalCorrupt, JournalError
from lightning_lite.text import one_line

#: Version of the format of a journal.
VERSION = 3

#: SQLite stores it in the header of the file, so that other programs can recognize a journal.
APPLICATION_ID = int.from_bytes(b"LLjr")

TABLES = (
    "CREATE TABLE journal (identity BLOB, nonce BLOB, checksum BLOB)",
    # A row holds many records, under the number of the last: a row for each would cost five times as much.
    "CREATE TABLE batch (sequence INTEGER PRIMARY KEY, frames BLOB)",
)

READ = "SELECT sequence, frames FROM batch ORDER BY sequence"
FIND = "SELECT 1 FROM batch WHERE sequence = ?"
WRITE = "INSERT INTO batch VALUES (?, ?)"

_PAGE_SIZE = 4096
#: Pages in SQLite's write-ahead log (16 MiB) after which SQLite copies them into the database, which takes
#: milliseconds.
_CHECKPOINT_PAGES = 4096
#: Seconds to wait for another program that has locked the database.
_BUSY_TIMEOUT = 5.0

#: What reading and writing may raise; the last one if SQLite's message contains bytes of a damaged file.
FAILURES = (sqlite3.Error, OSError, UnicodeDecodeError)

#: Error codes of SQLite whose cause is the disk or another program, not a damaged file.
_EXTERNAL_CAUSES = {
    sqlite3.SQLITE_FULL: "no space left",
    sqlite3.SQLITE_IOERR: "input/output error",
    sqlite3.SQLITE_CANTOPEN: "it can't be opened",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_PERM: "permission denied",
    sqlite3.SQLITE_BUSY: "another program has locked it",
    sqlite3.SQLITE_LOCKED: "another program has locked it",
}


def build(path: str, head: tuple[bytes, bytes, bytes], *, durable: bool) -> None:
    """Create the database of an empty journal atomically: a crash before the end leaves nothing at `path`.

    Args:
        path: Absolute path of the file.
        head: Identity of the app, nonce, and first checksum of the chain.
        durable: Whether the file must survive the loss of power.

    Raises:
        OSError: The file can't be created.
        sqlite3.Error: The file can't be written.
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
    """Open the database for writing.

    Raises:
        sqlite3.Error: The database can't be opened.
    """
    return _connect(
        path, "rw", synchronous="FULL" if durable else "NORMAL", wal_autocheckpoint=_CHECKPOINT_PAGES
    )


def connect_read_only(path: str) -> sqlite3.Connection:
    """Open the database for reading; the file and its log are not changed.

    Raises:
        sqlite3.Error: The database can't be opened.
    """
    # Without a log no process writes to the database, and SQLite must not create a log in order to read.
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
    """Return the error for a damaged journal.

    Args:
        path: Absolute path of the file.
        sequence: Number of the damaged record, or `None` for the file as a whole.
        what: What is wrong, a sentence without a period.
    """
    where = "" if sequence is None else f" at record {sequence}"
    return JournalCorrupt(
        f"the journal {path!r} is damaged{where}: {what}; start a new run, or restore this one from a copy",
        file=path,
        sequence=sequence,
        what=what,
    )


def refuse(error: Exception, path: str) -> NoReturn:
    """Raise the `JournalError` for an error of SQLite or of the system.

    Args:
        error: One of `FAILURES`.
        path: Absolute path of the file.

    Raises:
        JournalCorrupt: The file is damaged.
        JournalError: The error has another cause: the disk, permissions or another program.
    """
    if isinstance(error, OSError):
        reason = os.strerror(error.errno or 0)
    else:
        code = getattr(error, "sqlite_errorcode", -1) & 0xFF
        if code not in _EXTERNAL_CAUSES:
            raise corrupt(path, None, f"SQLite says: {one_line(str(error))}") from error
        reason = _EXTERNAL_CAUSES[code]
    raise JournalError(
        f"the journal {path!r} can't be read or written: {reason}; its content is unchanged",
        file=path,
    ) from error
