"""Damages journals, and checks what is read of them."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from small_journals import IDENTITY, TRANSACTIONS, contents, flat, read

from lightning_lite.errors import JournalError
from lightning_lite.runs import database
from lightning_lite.runs.journal import Journal, Record
from lightning_lite.runs.records import Row, read_frames, write_frames


def tamper(folder: Path, *statements: str) -> None:
    """Run SQL statements on the database of a journal."""
    connection = sqlite3.connect(folder / "journal.db", isolation_level=None)
    for statement in statements:
        connection.execute(statement)
    connection.close()


def change(folder: Path, change_rows: Callable[[list[Row]], object]) -> None:
    """Change the records of a journal without computing their checksums again."""
    connection = sqlite3.connect(folder / "journal.db", isolation_level=None)
    rows = [row for _, frames in connection.execute(database.READ) for row in read_frames(frames)]
    change_rows(rows)
    connection.execute("DELETE FROM batch")
    while rows:
        size = next((size for size, row in enumerate(rows, 1) if row.ends), len(rows))
        connection.execute(database.WRITE, (rows[size - 1].sequence, write_frames(rows[:size])))
        del rows[:size]
    connection.close()


def check_damaged(folder: Path, *, continues: bool = True) -> int | JournalError:
    """Assert that a damaged journal gives complete transactions from the start, or is refused by name.

    Args:
        folder: Folder of a run in which `TRANSACTIONS` was written.
        continues: Whether to append a record to the recovered journal, and to read it again.

    Returns:
        The number of recovered transactions, or the error.
    """
    before = contents(folder)
    try:
        found = read(folder)
    except JournalError as error:
        refusal = error
    else:
        return count_transactions(folder, found, continues)
    assert_refused(refusal, folder, before)
    return refusal


def count_transactions(folder: Path, found: list[Record], continues: bool) -> int:
    count = next((n for n in range(len(TRANSACTIONS) + 1) if found == flat(TRANSACTIONS[:n])), None)
    assert count is not None, f"a wrong state: {found}"
    if continues:
        more = Record("resumed", "root", "", b"")
        journal = Journal.open(str(folder), IDENTITY)
        journal.append(more)
        journal.close()
        assert read(folder) == [*found, more]
    return count


def assert_refused(error: Exception, folder: Path, before: dict[str, bytes]) -> None:
    """Assert that an error names the run in one line, and that no file was changed."""
    assert str(folder) in str(error)
    assert "\n" not in str(error)
    assert contents(folder) == before


def each_damaged(
    original: Path, name: str, changes: Iterator[Callable[[bytes], bytes]]
) -> Iterator[int | JournalError]:
    """Check copies of a journal, each with another change of one file."""
    kept = contents(original)
    copy = original.with_name("copy")
    for number, change in enumerate(changes):
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for file, data in kept.items():
            (copy / file).write_bytes(change(data) if file == name else data)
        yield check_damaged(copy, continues=number % 8 == 0)


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
