"""Truncated, changed and mixed journals give complete transactions from the start, or are refused by name."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from damage import change, cut_at, each_damaged, flip, refusal_of, tamper
from small_journals import IDENTITY, TRANSACTIONS, contents, flat, read, write, write_and_die

from lightning_lite.errors import (
    JournalCorrupt,
    JournalError,
    JournalMismatch,
    JournalVersion,
    NothingToResume,
)
from lightning_lite.runs import database, journal, validation
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.records import Row, read_frames, write_frames


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use small pages, so that a small journal has several of them and few unused bytes."""
    monkeypatch.setattr(database, "_PAGE_SIZE", 512)


@pytest.fixture
def memory_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory if possible, because tests create and open thousands of journals in it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def closed(memory_folder: Path) -> Path:
    """A closed journal: all records are in the database."""
    write(memory_folder / "closed")
    return memory_folder / "closed"


@pytest.fixture
def killed(memory_folder: Path) -> Path:
    """A journal whose writer was killed: all records are in the log."""
    write_and_die(memory_folder / "killed")
    return memory_folder / "killed"


@pytest.fixture
def ahead(memory_folder: Path) -> Path:
    """A journal whose writer was killed: the last three transactions are only in the write-ahead file."""
    write_and_die(memory_folder / "ahead", secured=3)
    return memory_folder / "ahead"


@pytest.fixture(params=[0, 3, 5], ids=["no checkpoint", "checkpoint of a part", "checkpoint of all"])
def abandoned(request: pytest.FixtureRequest, memory_folder: Path) -> Path:
    """A journal whose writer was killed, before or after a checkpoint of SQLite."""
    write_and_die(memory_folder / "abandoned", moved=request.param)
    return memory_folder / "abandoned"


def size_of(folder: Path, name: str) -> int:
    return (folder / name).stat().st_size


def cut(folder: Path, name: str, step: int = 1) -> list[int | JournalError]:
    size = size_of(folder, name)
    return list(each_damaged(folder, name, map(cut_at, [*range(0, size, step), size])))


def flipped(folder: Path, name: str, sample: int | None = None) -> Counter[str]:
    bits: Iterable[int] = range(size_of(folder, name) * 8)
    if sample is not None:
        bits = random.Random(sample).sample(bits, sample)
    verdicts = each_damaged(folder, name, map(flip, bits))
    return Counter("recovered" if isinstance(one, int) else type(one).__name__ for one in verdicts)


def test_a_truncated_log_leaves_complete_transactions(killed: Path):
    seen = cut(killed, "journal.db-wal", 29)

    assert set(seen) == set(range(len(TRANSACTIONS) + 1))
    assert seen == sorted(seen)


def test_a_truncated_log_after_a_kill_gives_no_wrong_record(abandoned: Path):
    assert len(TRANSACTIONS) in cut(abandoned, "journal.db-wal", 29)


def test_a_truncated_write_ahead_file_leaves_complete_transactions(ahead: Path):
    seen = cut(ahead, "journal.db-ahead", 7)

    assert set(seen) == {2, 3, 4, 5}
    assert seen == sorted(seen)


def test_no_flipped_bit_of_the_write_ahead_file_gives_a_wrong_record(ahead: Path):
    assert set(flipped(ahead, "journal.db-ahead")) == {"recovered"}


def test_a_wrong_number_in_the_write_ahead_file_loses_only_that_record(
    ahead: Path,
):
    data = (ahead / "journal.db-ahead").read_bytes()
    rows = [*read_frames(data)]
    wrong = rows[-1]._replace(sequence=rows[0].sequence)
    (ahead / "journal.db-ahead").write_bytes(write_frames([*rows[:-1], wrong]))

    assert read(ahead) == flat(TRANSACTIONS[:-1])


def test_open_copies_the_write_ahead_file_into_the_database_once(ahead: Path):
    assert len(read(ahead)) == sum(map(len, TRANSACTIONS))
    assert not (ahead / "journal.db-ahead").exists()
    assert len(read(ahead)) == sum(map(len, TRANSACTIONS))


def test_a_write_that_was_interrupted_and_repeated_is_read_once(memory_folder: Path):
    (memory_folder / "run").mkdir()
    journal = Journal.create(str(memory_folder / "run"), IDENTITY)
    first, second = TRANSACTIONS[0][0], TRANSACTIONS[2][0]
    journal.append(first)
    journal._write_ahead.write(journal._seal_waiting()[0])  # interrupted here, before the journal notes it
    journal.append(second)
    journal.secure()
    copy = memory_folder / "copy"
    copy.mkdir()
    for name, data in contents(memory_folder / "run").items():
        (copy / name).write_bytes(data)
    journal.close()

    assert read(copy) == read(memory_folder / "run") == [first, second]


def test_a_truncated_database_is_refused(closed: Path):
    *seen, whole = cut(closed, "journal.db", 29)

    assert {type(verdict) for verdict in seen} == {JournalCorrupt}
    assert whole == len(TRANSACTIONS)


def test_no_flipped_bit_of_a_closed_journal_gives_a_wrong_record(closed: Path):
    assert set(flipped(closed, "journal.db", 1000)) == {"recovered", "JournalCorrupt", "JournalVersion"}


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_no_flipped_bit_after_a_kill_gives_a_wrong_record(abandoned: Path, name: str):
    assert flipped(abandoned, name, 200)["recovered"]


@pytest.mark.torture
def test_no_truncation_and_no_bit_of_a_closed_journal_gives_a_wrong_record(closed: Path):
    assert len(TRANSACTIONS) in cut(closed, "journal.db")
    assert flipped(closed, "journal.db")["JournalCorrupt"]


@pytest.mark.torture
@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_no_truncation_and_no_bit_after_a_kill_gives_a_wrong_record(abandoned: Path, name: str):
    assert len(TRANSACTIONS) in cut(abandoned, name)
    assert flipped(abandoned, name)["recovered"]


def test_without_checksums_a_flipped_bit_gives_a_wrong_record(
    memory_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    for module in (journal, validation):
        monkeypatch.setattr(module, "chain_checksum", lambda *row: bytes(16))
    write(memory_folder / "weak")

    with pytest.raises(AssertionError, match="a wrong state"):
        flipped(memory_folder / "weak", "journal.db", 1000)


def join(folder: Path, other: Path) -> None:
    """Combine the first three records of one journal with the later ones of another."""
    tamper(
        folder,
        f"ATTACH '{other}/journal.db' AS other",
        "DELETE FROM batch WHERE sequence > 3",
        "INSERT INTO batch SELECT * FROM other.batch WHERE sequence > 3",
    )


def test_a_mixture_of_two_journals_is_refused(closed: Path, tmp_path: Path):
    write(tmp_path / "other")
    join(closed, tmp_path / "other")

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert (error.sequence, error.what) == (4, "its checksum is wrong")


def test_without_the_chain_a_mixture_of_two_journals_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    chained = journal.chain_checksum
    for module in (journal, validation):
        monkeypatch.setattr(module, "chain_checksum", lambda previous, *row: chained(b"", *row))
    for name in ("one", "other"):
        write(tmp_path / name)
    join(tmp_path / "one", tmp_path / "other")

    assert len(read(tmp_path / "one")) == 7


@pytest.mark.parametrize(
    ("statement", "sequence"),
    [
        ("INSERT INTO batch SELECT 8, frames FROM batch WHERE sequence = 7", 8),
        ("INSERT INTO batch SELECT 0, frames FROM batch WHERE sequence = 1", 2),
        ("DELETE FROM batch WHERE sequence = 1", 1),
        ("DELETE FROM batch WHERE sequence = 4", 4),
        ("UPDATE batch SET sequence = 8 WHERE sequence = 7", 8),
        ("UPDATE batch SET frames = 'text' WHERE sequence = 3", 2),
        ("UPDATE batch SET frames = NULL WHERE sequence = 3", 2),
        ("UPDATE batch SET frames = CAST(frames || x'00' AS BLOB) WHERE sequence = 3", 4),
        ("UPDATE batch SET frames = substr(frames, 2) WHERE sequence = 3", 2),
        ("UPDATE journal SET identity = CAST('app.py:Other' AS BLOB)", None),
        ("UPDATE journal SET nonce = x'00'", None),
        (
            "UPDATE journal SET checksum = CAST(x'ff0a1b' AS TEXT)",
            None,
        ),  # SQLite puts these bytes into its message
        ("DELETE FROM journal", None),
        ("INSERT INTO journal SELECT * FROM journal", None),
        ("DROP TABLE batch", None),
        ("CREATE TABLE more (x)", None),
        ("CREATE TRIGGER t AFTER INSERT ON batch BEGIN DELETE FROM batch; END", None),
        ("ALTER TABLE batch RENAME COLUMN frames TO records", None),
        ("PRAGMA journal_mode = DELETE", None),
        ("PRAGMA application_id = 1", None),
    ],
)
def test_a_changed_database_is_refused(closed: Path, statement: str, sequence: int | None):
    tamper(closed, statement)

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert error.sequence == sequence
    assert error.file == str(closed / "journal.db")
    assert str(error).isprintable()


def put(position: int, **fields: object) -> Callable[[list[Row]], None]:
    """Return a function that inserts a changed copy of the previous record at a position."""
    return lambda rows: rows.insert(position, rows[position - 1]._replace(**fields))


def replace(sequence: int, **fields: object) -> Callable[[list[Row]], None]:
    def change_rows(rows: list[Row]) -> None:
        rows[sequence - 1] = rows[sequence - 1]._replace(**fields)

    return change_rows


@pytest.mark.parametrize(
    ("change_rows", "sequence"),
    [
        (put(7, sequence=8), 8),
        (put(7, sequence=9), 8),
        (put(1, sequence=0), 1),
        (lambda rows: rows.pop(0), 1),
        (lambda rows: rows.pop(1), 2),
        (lambda rows: rows.pop(3), 4),
        (lambda rows: rows.reverse(), 1),
        (replace(1, kind="sent"), 1),
        (replace(2, component="root.eval"), 2),
        (replace(3, data=b"text"), 3),
        (replace(3, in_file=1), 3),
        (replace(4, ends=2), 4),
        (replace(2, ends=1), 2),
        (replace(6, ends=0), 6),
        (replace(5, checksum=bytes(16)), 5),
    ],
)
def test_a_database_with_changed_records_is_refused(
    closed: Path, change_rows: Callable[[list[Row]], object], sequence: int
):
    change(closed, change_rows)

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert error.sequence == sequence


def test_an_incomplete_transaction_in_the_database_is_refused(closed: Path):
    change(closed, lambda rows: rows.__delitem__(slice(5, None)))

    assert isinstance(refusal_of(closed), JournalCorrupt)


@pytest.mark.parametrize("version", [0, 1, 2, 99])
def test_another_version_is_refused(closed: Path, version: int):
    tamper(closed, f"PRAGMA user_version = {version}")

    error = refusal_of(closed)

    assert isinstance(error, JournalVersion)
    assert (error.found, error.known) == (version, 3)


def test_the_journal_of_another_app_is_refused(closed: Path):
    error = refusal_of(closed, "other.py:Root")

    assert isinstance(error, JournalMismatch)
    assert (error.found, error.asked) == (IDENTITY, "other.py:Root")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "it is empty"),
        (b"S", "it has only 1 bytes"),
        (b"this is a text\n" * 50, "it is not a journal"),
        (b"SQLite format 3\0" + bytes(5000), "it is not a journal"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, data: bytes, what: str):
    (tmp_path / "journal.db").write_bytes(data)

    error = refusal_of(tmp_path)

    assert isinstance(error, JournalCorrupt)
    assert error.what == what


@pytest.mark.parametrize(
    "name", [f"journal.db{ending}" for ending in ("", "-wal", "-shm", "-journal", "-ahead")]
)
@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkdir, "it is a folder"),
        (os.mkfifo, "it is a FIFO"),
        (lambda path: os.symlink("/dev/null", path), "it is a symbolic link"),
    ],
)
def test_a_path_that_is_not_a_regular_file_is_refused_and_not_opened(
    closed: Path, name: str, make, what: str
):
    (closed / name).unlink(missing_ok=True)
    make(closed / name)

    with pytest.raises(JournalCorrupt, match=what):
        journal.Journal.open(str(closed), IDENTITY)


def test_a_lock_that_is_not_a_regular_file_is_refused(closed: Path):
    (closed / "journal.lock").unlink()
    os.mkfifo(closed / "journal.lock")
    with pytest.raises(JournalError, match="not a regular file"):
        journal.Journal.open(str(closed), IDENTITY)

    (closed / "journal.lock").unlink()
    (closed / "journal.lock").symlink_to("/dev/null")
    with pytest.raises(JournalError, match="check what is at that path"):
        journal.Journal.open(str(closed), IDENTITY)


def test_a_read_only_journal_is_refused(closed: Path):
    (closed / "journal.db").chmod(0o400)

    assert "read-only" in str(refusal_of(closed))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_journal_of_another_user_is_refused(closed: Path):
    os.chown(closed / "journal.db", 1000, 1000)

    assert "user 1000" in str(refusal_of(closed))


def test_a_run_without_a_journal_has_nothing_to_resume(tmp_path: Path):
    with pytest.raises(NothingToResume):
        journal.Journal.open(str(tmp_path), IDENTITY)
    with pytest.raises(NothingToResume):
        journal.Journal.open(str(tmp_path / "missing"), IDENTITY)

    assert contents(tmp_path) == {}
    assert not (tmp_path / "journal.lock").exists()
