"""Journals to damage, and what may be seen of one that is damaged."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lightning_lite.errors import JournalError
from lightning_lite.runs.journal import Journal, Record

IDENTITY = "app.py:Root"

#: What a small journal holds, transaction by transaction.
STORY = [
    [Record("asked", "root.train", "9f3a", b"arguments")],
    [Record("state", "root.train", "", b"\x01\x02"), Record("state", "root.eval", "", b"")],
    [Record("ended", "root.train", "9f3a", b"value" * 20)],
    [Record("asked", "root.eval", "77", b"a" * 300), Record("sent", "root.eval", "77", b"1")],
    [Record("ended", "root.eval", "77", b"12.5")],
]


def write(folder: Path, story: list[list[Record]] = STORY) -> None:
    """Write a journal and close it."""
    folder.mkdir()
    journal = Journal.create(str(folder), IDENTITY)
    commit_all(journal, story)
    journal.close()


def write_and_die(folder: Path, story: list[list[Record]] = STORY, *, moved: int = 0) -> None:
    """Write a journal in a process that is killed before it closes it, so that its log stays.

    After `moved` transactions the log is moved into the database; the next one begins it anew.
    """
    folder.mkdir()
    pid = os.fork()
    if pid == 0:
        try:
            journal = Journal.create(str(folder), IDENTITY)
            commit_all(journal, story[:moved])
            if moved:
                journal._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            commit_all(journal, story[moved:])
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert (folder / "journal.db-wal").stat().st_size


def commit_all(journal: Journal, story: list[list[Record]]) -> None:
    for transaction in story:
        for record in transaction:
            journal.append(record)
        journal.commit()


def read(folder: Path, identity: str = IDENTITY) -> list[Record]:
    """Open a journal and return what it holds, big values loaded."""
    journal = Journal.open(str(folder), identity)
    try:
        return [record._replace(data=record.load()) for record in journal.records()]
    finally:
        journal.close()


def tamper(folder: Path, *statements: str) -> None:
    """Change a journal as somebody with a tool for databases could."""
    connection = sqlite3.connect(folder / "journal.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the bytes of what is kept of a journal; `-shm` is memory of those who have it open."""
    files = [folder / "journal.db", folder / "journal.db-wal"]
    return {file.name: file.read_bytes() for file in files if file.exists() and file.stat().st_size}


def look_at(folder: Path, story: list[list[Record]] = STORY, *, go_on: bool = True) -> int | JournalError:
    """Open a journal that may be damaged: whole transactions from the start, or refused by name.

    Args:
        folder: Folder of the run.
        story: What was written.
        go_on: Whether to write on in what was recovered, and to look at that, too.

    Returns:
        How many transactions were recovered, or why it was refused.
    """
    before = contents(folder)
    try:
        found = read(folder)
    except JournalError as error:
        refusal = error
    else:
        return count_transactions(folder, story, found, go_on)
    assert_refused(refusal, folder, before)
    return refusal


def count_transactions(folder: Path, story: list[list[Record]], found: list[Record], go_on: bool) -> int:
    count = next((n for n in range(len(story) + 1) if found == flat(story[:n])), None)
    assert count is not None, f"a wrong state: {found}"
    if go_on:
        more = Record("resumed", "root", "", b"")
        journal = Journal.open(str(folder), IDENTITY)
        journal.append(more)
        journal.close()
        assert read(folder) == [*found, more]
    return count


def assert_refused(error: Exception, folder: Path, before: dict[str, bytes]) -> None:
    """Fail if a refusal does not name the run in one line, or if it has changed anything."""
    assert str(folder) in str(error)
    assert "\n" not in str(error)
    assert contents(folder) == before


def flat(story: list[list[Record]]) -> list[Record]:
    return [record for transaction in story for record in transaction]


def each_damaged(
    original: Path, name: str, changes: Iterator[Callable[[bytes], bytes]]
) -> Iterator[int | JournalError]:
    """Look at copies of a journal, in each of which one file is changed in another way."""
    kept = contents(original)
    copy = original.with_name("copy")
    for number, change in enumerate(changes):
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file, data in kept.items():
            (copy / file).write_bytes(change(data) if file == name else data)
        yield look_at(copy, go_on=number % 8 == 0)


def cut_at(size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:size]


def flip(bit: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    return change


def refusal_of(folder: Path, identity: str = IDENTITY) -> JournalError:
    """Return the error with which a journal is refused."""
    before = contents(folder)
    with pytest.raises(JournalError) as caught:
        Journal.open(str(folder), identity)
    assert_refused(caught.value, folder, before)
    return caught.value
