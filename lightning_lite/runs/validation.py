"""Checks a journal before anything in it is used: its files, its header, its tables and every record."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from typing import NamedTuple

from lightning_lite.errors import (
    JournalError,
    JournalMismatch,
    JournalVersion,
    NothingToResume,
)
from lightning_lite.runs import database
from lightning_lite.runs.database import corrupt, refuse
from lightning_lite.runs.records import chain_checksum, frame, head_checksum, read_frames, write_frames
from lightning_lite.runs.values import ValueFile
from lightning_lite.text import one_line

_HEADER_SIZE = 100
_MAGIC = b"SQLite format 3\0"
_WITH_LOG = b"\2\2"  # SQLite's mark of a database with a write-ahead log

_KINDS = {stat.S_IFDIR: "a folder", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO"}


class End(NamedTuple):
    """The end of a journal.

    Attributes:
        sequence: Number of the last record, 0 if there is none.
        checksum: Checksum of the last record, or of the head if there is none.
    """

    sequence: int
    checksum: bytes


def check_files(path: str) -> None:
    """Refuse files that are not regular, or that this user does not own or may not write; nothing is opened.

    Raises:
        NothingToResume: There is no journal.
        JournalError: The journal or a file of SQLite next to it is refused.
    """
    for name, found in find_files(path):
        if found.st_uid != os.geteuid():
            raise _refusal(name, f"it belongs to user {found.st_uid}; resume as that user")
        if not found.st_mode & stat.S_IWUSR:
            raise _refusal(name, "it is read-only; give it write permission")


def find_files(path: str) -> Iterator[tuple[str, os.stat_result]]:
    """Yield the path and the status of the journal and of each file next to it that exists.

    Raises:
        NothingToResume: There is no journal.
        JournalError: One of them is not a regular file, or its status can't be read.
    """
    for name in (path, f"{path}-wal", f"{path}-shm", f"{path}-journal", f"{path}-ahead"):
        try:
            found = os.lstat(name)
        except FileNotFoundError:
            if name == path:
                raise NothingToResume(f"there is no journal {path!r}: start a new run", file=path) from None
            continue
        except OSError as error:
            refuse(error, name)
        if not stat.S_ISREG(found.st_mode):
            kind = _KINDS.get(stat.S_IFMT(found.st_mode), "a special file")
            raise corrupt(name, None, f"it is {kind}, not a regular file")
        yield name, found


def check_header(path: str) -> None:
    """Refuse a file that is not a journal, or a journal of another version.

    Call it only while SQLite does not have the file open in this process: closing a file drops the POSIX
    locks that the process holds on it, including those of SQLite.

    Raises:
        JournalCorrupt: The file is empty, too short, or not a journal.
        JournalVersion: The journal has another version.
        OSError: The file can't be read.
    """
    with open(path, "rb") as file:
        header = file.read(_HEADER_SIZE)
    if len(header) < _HEADER_SIZE:
        raise corrupt(path, None, f"it has only {len(header)} bytes" if header else "it is empty")
    if not header.startswith(_MAGIC) or int.from_bytes(header[68:72]) != database.APPLICATION_ID:
        raise corrupt(path, None, "it is not a journal")
    if header[18:20] != _WITH_LOG:
        raise corrupt(path, None, "SQLite keeps it in another form")
    check_version(path, int.from_bytes(header[60:64]))


def check_version(path: str, version: int) -> None:
    """Refuse a journal of another version.

    Raises:
        JournalVersion: The journal has another version.
    """
    if version != database.VERSION:
        raise JournalVersion(
            f"the journal {path!r} has version {version}, this lightning_lite knows {database.VERSION}; "
            "resume with the lightning_lite that wrote it, or start a new run",
            file=path,
            found=version,
            known=database.VERSION,
        )


def check_content(connection: sqlite3.Connection, path: str, identity: bytes) -> End:
    """Check every record, and return the end of the journal.

    Raises:
        JournalCorrupt: A page, a record or the file of a value is damaged.
        JournalMismatch: Another app wrote the journal.
        sqlite3.Error: SQLite can't read the journal.
    """
    _check_pages(connection, path)
    end = End(0, _check_head(connection, path, identity))
    for sequence, frames in connection.execute(database.READ):
        end = _check_batch(path, end, sequence, frames)
    return end


def _check_batch(path: str, end: End, sequence: int, frames: bytes) -> End:
    """Check the records of one batch, and return the end of the journal after it."""
    rows = [*read_frames(frames)] if type(frames) is bytes else []
    for row in rows:
        expected = end.sequence + 1
        if row.sequence != expected:
            raise corrupt(path, expected, f"record {row.sequence} is in its place")
        if row.checksum != chain_checksum(end.checksum, frame(*row[:-1])):
            raise corrupt(path, expected, "its checksum is wrong")
        if row.in_file:
            ValueFile.from_reference(os.path.dirname(path), row.sequence, row.data)
        end = End(expected, row.checksum)
    if not rows or end.sequence != sequence or not rows[-1].ends or write_frames(rows) != frames:
        raise corrupt(path, end.sequence + 1, "it is not a record")
    return end


def _check_pages(connection: sqlite3.Connection, path: str) -> None:
    tables = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master ORDER BY rowid")]
    if tables != list(database.TABLES):
        raise corrupt(path, None, "its tables are not those of a journal")
    (finding,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if finding != "ok":
        raise corrupt(path, None, "its pages do not fit together")


def _check_head(connection: sqlite3.Connection, path: str, identity: bytes) -> bytes:
    heads = connection.execute("SELECT identity, nonce, checksum FROM journal").fetchall()
    if len(heads) != 1 or not all(type(part) is bytes for part in heads[0]):
        raise corrupt(path, None, "its head is missing")
    found, nonce, checksum = heads[0]
    if checksum != head_checksum(database.VERSION, found, nonce):
        raise corrupt(path, None, "the checksum of its head is wrong")
    if found != identity:
        raise JournalMismatch(
            f"the journal {path!r} belongs to the app {one_line(found)}, not to {one_line(identity)}; "
            "resume it with that app",
            file=path,
            found=os.fsdecode(found),
            asked=os.fsdecode(identity),
        )
    return bytes(checksum)


def _refusal(path: str, what: str) -> JournalError:
    return JournalError(f"the journal {path!r} can't be resumed: {what}", file=path)
