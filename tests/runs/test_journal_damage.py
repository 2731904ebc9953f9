"""A journal that is cut, flipped or put together: whole transactions from the start, or refused by name."""

from __future__ import annotations

import os
import random
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from damage import change, cut_at, each_damaged, flip, refusal_of, tamper
from stories import IDENTITY, STORY, contents, flat, read, write, write_and_die

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
    """Let even a small journal have several pages, with little room between what matters."""
    monkeypatch.setattr(database, "_PAGE_SIZE", 512)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if the system has that: thousands of journals are made and opened in it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def closed(place: Path) -> Path:
    """A journal that was closed: all of it is in the database."""
    write(place / "closed")
    return place / "closed"


@pytest.fixture
def killed(place: Path) -> Path:
    """A journal whose writer was killed: all of it is in the log."""
    write_and_die(place / "killed")
    return place / "killed"


@pytest.fixture
def ahead(place: Path) -> Path:
    """A journal whose writer was killed when its last three transactions were not in the database yet."""
    write_and_die(place / "ahead", secured=3)
    return place / "ahead"


@pytest.fixture(params=[3, 5], ids=["part of the log", "all of the log"])
def moved(request: pytest.FixtureRequest, place: Path) -> Path:
    """A journal whose writer was killed after SQLite had moved its log into the database."""
    write_and_die(place / "moved", moved=request.param)
    return place / "moved"


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


def test_a_log_that_is_cut_leaves_whole_transactions(killed: Path):
    seen = cut(killed, "journal.db-wal", 29)

    assert set(seen) == set(range(len(STORY) + 1))
    assert seen == sorted(seen)


def test_a_log_that_is_cut_after_some_of_it_was_moved_gives_no_wrong_record(moved: Path):
    assert len(STORY) in cut(moved, "journal.db-wal", 29)


def test_what_is_ahead_of_the_database_is_there_up_to_where_it_is_cut(ahead: Path):
    seen = cut(ahead, "journal.db-ahead", 7)

    assert set(seen) == {2, 3, 4, 5}
    assert seen == sorted(seen)


def test_no_flipped_bit_of_what_is_ahead_of_the_database_gives_a_wrong_record(ahead: Path):
    assert set(flipped(ahead, "journal.db-ahead")) == {"recovered"}


def test_a_record_ahead_of_the_database_whose_number_is_wrong_takes_none_of_those_before_it_along(
    ahead: Path,
):
    data = (ahead / "journal.db-ahead").read_bytes()
    rows = [*read_frames(data)]
    wrong = rows[-1]._replace(sequence=rows[0].sequence)
    (ahead / "journal.db-ahead").write_bytes(write_frames([*rows[:-1], wrong]))

    assert read(ahead) == flat(STORY[:-1])


def test_what_was_taken_over_from_ahead_of_the_database_is_in_it(ahead: Path):
    assert len(read(ahead)) == sum(map(len, STORY))
    assert not (ahead / "journal.db-ahead").exists()
    assert len(read(ahead)) == sum(map(len, STORY))


def test_a_write_that_was_cut_and_tried_again_with_more_is_there_once(place: Path):
    (place / "run").mkdir()
    journal = Journal.create(str(place / "run"), IDENTITY)
    first, second = STORY[0][0], STORY[2][0]
    journal.append(first)
    journal._write_ahead.write(journal._seal_waiting()[0])  # cut here, before it was noted
    journal.append(second)
    journal.secure()
    copy = place / "copy"
    copy.mkdir()
    for name, data in contents(place / "run").items():
        (copy / name).write_bytes(data)
    journal.close()

    assert read(copy) == read(place / "run") == [first, second]


def test_a_database_that_is_cut_is_refused(closed: Path):
    *seen, whole = cut(closed, "journal.db", 29)

    assert {type(verdict) for verdict in seen} == {JournalCorrupt}
    assert whole == len(STORY)


def test_no_flipped_bit_of_a_closed_journal_gives_a_wrong_record(closed: Path):
    assert set(flipped(closed, "journal.db", 1000)) == {"recovered", "JournalCorrupt", "JournalVersion"}


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_no_flipped_bit_after_a_kill_gives_a_wrong_record(killed: Path, name: str):
    assert flipped(killed, name, 200)["recovered"]


@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_no_flipped_bit_after_a_kill_and_a_move_gives_a_wrong_record(moved: Path, name: str):
    assert flipped(moved, name, 200)["recovered"]


@pytest.mark.torture
def test_no_cut_and_no_flipped_bit_of_a_closed_journal_at_all_gives_a_wrong_record(closed: Path):
    assert len(STORY) in cut(closed, "journal.db")
    assert flipped(closed, "journal.db")["JournalCorrupt"]


@pytest.mark.torture
@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_no_cut_and_no_flipped_bit_after_a_kill_at_all_gives_a_wrong_record(killed: Path, name: str):
    assert len(STORY) in cut(killed, name)
    assert flipped(killed, name)["recovered"]


@pytest.mark.torture
@pytest.mark.parametrize("name", ["journal.db", "journal.db-wal"])
def test_no_cut_and_no_flipped_bit_after_a_kill_and_a_move_at_all_gives_a_wrong_record(
    moved: Path, name: str
):
    assert len(STORY) in cut(moved, name)
    assert flipped(moved, name)["recovered"]


def test_without_checksums_flipped_bits_would_be_believed(place: Path, monkeypatch: pytest.MonkeyPatch):
    for module in (journal, validation):
        monkeypatch.setattr(module, "chain_checksum", lambda *row: bytes(16))
    write(place / "weak")

    with pytest.raises(AssertionError, match="a wrong state"):
        flipped(place / "weak", "journal.db", 1000)


def join(folder: Path, other: Path) -> None:
    """Put the records of the one journal up to the third, and those of the other from there on, together."""
    tamper(
        folder,
        f"ATTACH '{other}/journal.db' AS other",
        "DELETE FROM batch WHERE sequence > 3",
        "INSERT INTO batch SELECT * FROM other.batch WHERE sequence > 3",
    )


def test_two_journals_that_were_joined_are_refused(closed: Path, tmp_path: Path):
    write(tmp_path / "other")
    join(closed, tmp_path / "other")

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert (error.sequence, error.what) == (4, "its checksum is wrong")


def test_without_the_chain_joined_journals_would_be_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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
        ("UPDATE journal SET checksum = CAST(x'ff0a1b' AS TEXT)", None),  # SQLite says it with its bytes
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
def test_a_journal_that_somebody_changed_is_refused(closed: Path, statement: str, sequence: int | None):
    tamper(closed, statement)

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert error.sequence == sequence
    assert error.file == str(closed / "journal.db")
    assert str(error).isprintable()


def put(position: int, **fields: object) -> Callable[[list[Row]], None]:
    """Return what puts a changed copy of the record before a position there."""
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
def test_a_journal_whose_records_somebody_changed_is_refused(
    closed: Path, change_rows: Callable[[list[Row]], object], sequence: int
):
    change(closed, change_rows)

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert error.sequence == sequence


def test_a_transaction_that_is_not_whole_is_refused(closed: Path):
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
def test_a_file_that_is_no_journal_is_refused(tmp_path: Path, data: bytes, what: str):
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
def test_what_is_no_regular_file_is_refused_and_never_opened(closed: Path, name: str, make, what: str):
    (closed / name).unlink(missing_ok=True)
    make(closed / name)

    with pytest.raises(JournalCorrupt, match=what):
        journal.Journal.open(str(closed), IDENTITY)


def test_a_lock_that_is_no_file_is_refused(closed: Path):
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
