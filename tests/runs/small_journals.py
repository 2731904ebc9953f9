"""Small journals: their content, and how they are written and read."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME

IDENTITY = "app.py:Root"

#: The entries of a small journal.
STORY = [b"asked", b"\x01\x02" * 9, b"value" * 20, b"a" * 300 + b"sent", b"12.5"]

SMALL = b"small"
LARGE = b"x" * 60_000


def write(folder: Path, story: list[bytes] = STORY) -> None:
    """Write a journal and close it."""
    folder.mkdir()
    journal = Journal.create(str(folder), IDENTITY)
    write_all(journal, story)
    journal.close()


def write_and_die(folder: Path, story: list[bytes] = STORY, *, rewritten: int = 0) -> None:
    """Write a journal in a process that is killed before it closes it.

    The first entries that are `rewritten` are the snapshot of a rewrite. One further entry is written during
    the rewrite, and the others after its end.
    """
    folder.mkdir()
    pid = os.fork()
    if pid == 0:
        try:
            journal = Journal.create(str(folder), IDENTITY)
            if rewritten:
                write_all(journal, [b"old", b"older", b"oldest"])
                rewrite = journal.rewrite()
                write_all(journal, story[rewritten : rewritten + 1])
                for entry in story[:rewritten]:
                    rewrite.write(entry)
                rewrite.finish(set())
                write_all(journal, story[rewritten + 1 :])
            else:
                write_all(journal, story)
            os.kill(os.getpid(), signal.SIGKILL)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == signal.SIGKILL


def write_all(journal: Journal, story: list[bytes]) -> None:
    for entry in story:
        journal.write(entry)


def read(folder: Path, identity: str = IDENTITY) -> list[bytes]:
    """Open a journal and return its entries."""
    journal = Journal.open(str(folder), identity)
    try:
        return list(journal.entries())
    finally:
        journal.close()


def contents(folder: Path) -> dict[str, bytes]:
    """Return the content of the file of a journal, and of one that would replace it."""
    files = [folder / f"{FILE_NAME}{ending}" for ending in ("", ".new")]
    return {file.name: file.read_bytes() for file in files if file.exists() and file.stat().st_size}
