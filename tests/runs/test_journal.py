"""All records of a journal are read again, in order, each once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from small_journals import BIG, IDENTITY, SMALL, TRANSACTIONS, commit_all, contents, flat, read, write

from lightning_lite.errors import JournalError
from lightning_lite.runs import database
from lightning_lite.runs.journal import Journal, Record
from lightning_lite.runs.values import INLINE_LIMIT


def test_records_are_read_as_they_were_written(tmp_path: Path):
    write(tmp_path / "run")

    assert read(tmp_path / "run") == flat(TRANSACTIONS)


def test_a_new_journal_is_empty(new: Journal, tmp_path: Path):
    new.close()

    assert read(tmp_path) == []


def test_a_journal_can_be_continued_any_number_of_times(tmp_path: Path):
    Journal.create(str(tmp_path), IDENTITY).close()

    for transaction in TRANSACTIONS:
        again = Journal.open(str(tmp_path), IDENTITY)
        commit_all(again, [transaction])
        again.close()

    assert read(tmp_path) == flat(TRANSACTIONS)


def test_any_texts_and_data_are_stored(new: Journal, tmp_path: Path):
    odd = [
        Record("", "", "", b""),
        Record("état", "root.日本", "a\0b\n'\"", bytes(range(256))),
        Record("x" * 10_000, "y", "z", b"\0" * INLINE_LIMIT),
    ]
    commit_all(new, [odd])
    new.close()

    assert read(tmp_path) == odd


def test_an_identity_may_contain_any_file_name(tmp_path: Path):
    identity = os.fsdecode(b"/home/\xff/app's 100%?#.py") + ":Root"

    Journal.create(str(tmp_path), identity).close()

    assert read(tmp_path, identity) == []


def test_a_record_that_is_not_committed_is_not_read(new: Journal):
    new.append(SMALL)

    assert list(new.records()) == []


def test_close_commits_the_waiting_records(new: Journal, tmp_path: Path):
    new.append(SMALL)
    new.close()
    new.close()

    assert read(tmp_path) == [SMALL]


def test_a_commit_without_records_writes_nothing(new: Journal, tmp_path: Path):
    before = contents(tmp_path)

    new.commit()

    assert contents(tmp_path) == before


def test_all_files_have_permissions_for_their_user_only(tmp_path: Path):
    previous = os.umask(0)
    try:
        new = Journal.create(str(tmp_path), IDENTITY)
        commit_all(new, [[SMALL, BIG]])
        files = [
            file for file in tmp_path.rglob("*") if file.name.startswith("journal") or file.suffix == ".bin"
        ]
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
        folder = stat.S_IMODE((tmp_path / "values").stat().st_mode)
        new.close()
    finally:
        os.umask(previous)

    names = {"journal.db", "journal.db-wal", "journal.db-shm", "journal.lock", "2.bin"}
    assert modes == dict.fromkeys(names, 0o600)
    assert folder == 0o700


def test_create_refuses_to_replace_a_journal(tmp_path: Path):
    write(tmp_path / "run")

    with pytest.raises(JournalError, match="open that one"):
        Journal.create(str(tmp_path / "run"), IDENTITY)

    assert read(tmp_path / "run") == flat(TRANSACTIONS)


def test_create_replaces_the_incomplete_file_of_a_dead_process(tmp_path: Path):
    (tmp_path / "journal.db.new").write_bytes(b"half of it")

    Journal.create(str(tmp_path), IDENTITY).close()

    assert read(tmp_path) == []
    assert not (tmp_path / "journal.db.new").exists()


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_with_durable_sqlite_flushes_each_commit(tmp_path: Path, durable: bool, level: int):
    for begin in (Journal.create, Journal.open):
        one = begin(str(tmp_path), IDENTITY, durable=durable)
        assert one._connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert one._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        one.close()


@pytest.mark.parametrize(
    ("durable", "flushed"), [(False, []), (True, ["run", "1.bin.new", "values", "2.bin.new", "values"])]
)
def test_with_durable_files_of_values_and_their_folders_are_flushed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool, flushed: list[str]
):
    (tmp_path / "run").mkdir()
    new = Journal.create(str(tmp_path / "run"), IDENTITY, durable=durable)
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name))

    commit_all(new, [[BIG, BIG]])
    new.close()

    assert seen == flushed


def test_sqlite_copies_its_log_into_the_database_from_time_to_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "_CHECKPOINT_PAGES", 4)
    new = Journal.create(str(tmp_path), IDENTITY)
    commit_all(new, [[SMALL]] * 100)
    size = (tmp_path / "journal.db-wal").stat().st_size
    new.close()

    assert size < 10 * 4096 + 1000
    assert read(tmp_path) == [SMALL] * 100
