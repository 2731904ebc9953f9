"""Writes and reads small journals."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lightning_lite.runs.journal import Journal, Record
from lightning_lite.runs.values import INLINE_LIMIT

IDENTITY = "app.py:Root"

#: The content of a small journal: the records of each transaction.
TRANSACTIONS = [
    [Record("asked", "root.train", "9f3a", b"arguments")],
    [Record("state", "root.train", "", b"\x01\x02"), Record("state", "root.eval", "", b"")],
    [Record("ended", "root.train", "9f3a", b"value" * 20)],
    [Record("asked", "root.eval", "77", b"a" * 300), Record("sent", "root.eval", "77", b"1")],
    [Record("ended", "root.eval", "77", b"12.5")],
]

SMALL = Record("ended", "root.train", "9f3a", b"small")
BIG = Record("ended", "root.train", "9f3a", os.urandom(1024) * (INLINE_LIMIT // 512))


def write(folder: Path, transactions: list[list[Record]] = TRANSACTIONS) -> None:
    """Write a journal and close it."""
    folder.mkdir()
    journal = Journal.create(str(folder), IDENTITY)
    commit_all(journal, transactions)
    journal.close()


def write_and_die(
    folder: Path, transactions: list[list[Record]] = TRANSACTIONS, *, moved: int = 0, secured: int = 0
) -> None:
    """Write a journal in a process that is killed before it closes the journal, so that the log remains.

    Args:
        folder: Folder of the run, to be created.
        transactions: The records of each transaction.
        moved: Number of transactions after which SQLite copies its log into the database.
        secured: Number of the last transactions that are only in the write-ahead file.
    """
    folder.mkdir()
    pid = os.fork()
    if pid == 0:
        try:
            journal = Journal.create(str(folder), IDENTITY)
            commit_all(journal, transactions[:moved])
            if moved:
                journal._connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
            committed = len(transactions) - secured
            commit_all(journal, transactions[moved:committed])
            for transaction in transactions[committed:]:
                for record in transaction:
                    journal.append(record)
                journal.secure()
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL
    assert (folder / "journal.db-wal").stat().st_size


def commit_all(journal: Journal, transactions: list[list[Record]]) -> None:
    for transaction in transactions:
        for record in transaction:
            journal.append(record)
        journal.commit()


def read(folder: Path, identity: str = IDENTITY) -> list[Record]:
    """Open a journal and return its records, with big values loaded."""
    journal = Journal.open(str(folder), identity)
    try:
        return [record._replace(data=record.load()) for record in journal.records()]
    finally:
        journal.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of the files of a journal, except `-shm`, the memory of its connections."""
    files = [folder / f"journal.db{ending}" for ending in ("", "-wal", "-ahead")]
    return {file.name: file.read_bytes() for file in files if file.exists() and file.stat().st_size}


def flat(transactions: list[list[Record]]) -> list[Record]:
    return [record for transaction in transactions for record in transaction]
