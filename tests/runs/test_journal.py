"""What is written to a journal is read again: all of it, in order, once."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest
from stories import BIG, IDENTITY, SMALL, STORY, commit_all, contents, flat, read, write

from lightning_lite.errors import JournalError
from lightning_lite.runs import database
from lightning_lite.runs.journal import Journal, Record
from lightning_lite.runs.values import INLINE_LIMIT


def test_records_are_read_as_they_were_written(tmp_path: Path):
    write(tmp_path / "run")

    assert read(tmp_path / "run") == flat(STORY)


def test_a_new_journal_is_empty(new: Journal, tmp_path: Path):
    new.close()

    assert read(tmp_path) == []


def test_a_journal_is_gone_on_with_as_often_as_one_likes(tmp_path: Path):
    Journal.create(str(tmp_path), IDENTITY).close()

    for transaction in STORY:
        again = Journal.open(str(tmp_path), IDENTITY)
        commit_all(again, [transaction])
        again.close()

    assert read(tmp_path) == flat(STORY)


def test_texts_and_data_may_be_anything(new: Journal, tmp_path: Path):
    odd = [
        Record("", "", "", b""),
        Record("état", "root.日本", "a\0b\n'\"", bytes(range(256))),
        Record("x" * 10_000, "y", "z", b"\0" * INLINE_LIMIT),
    ]
    commit_all(new, [odd])
    new.close()

    assert read(tmp_path) == odd


def test_an_identity_may_hold_any_name_of_a_file(tmp_path: Path):
    identity = os.fsdecode(b"/home/\xff/app's 100%?#.py") + ":Root"

    Journal.create(str(tmp_path), identity).close()

    assert read(tmp_path, identity) == []


def test_what_is_not_committed_is_not_there(new: Journal):
    new.append(SMALL)

    assert list(new.records()) == []


def test_closing_commits_what_waits(new: Journal, tmp_path: Path):
    new.append(SMALL)
    new.close()
    new.close()

    assert read(tmp_path) == [SMALL]


def test_committing_nothing_writes_nothing(new: Journal, tmp_path: Path):
    before = contents(tmp_path)

    new.commit()

    assert contents(tmp_path) == before


def test_all_files_are_for_their_user_alone(tmp_path: Path):
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


def test_a_second_journal_is_not_begun_over_the_first_one(tmp_path: Path):
    write(tmp_path / "run")

    with pytest.raises(JournalError, match="open that one"):
        Journal.create(str(tmp_path / "run"), IDENTITY)

    assert read(tmp_path / "run") == flat(STORY)


def test_what_a_dead_beginner_left_is_no_journal_and_in_nobodys_way(tmp_path: Path):
    (tmp_path / "journal.db.new").write_bytes(b"half of it")

    Journal.create(str(tmp_path), IDENTITY).close()

    assert read(tmp_path) == []
    assert not (tmp_path / "journal.db.new").exists()


@pytest.mark.parametrize(("durable", "level"), [(False, 1), (True, 2)])
def test_durable_lets_sqlite_flush_each_commit(tmp_path: Path, durable: bool, level: int):
    for begin in (Journal.create, Journal.open):
        one = begin(str(tmp_path), IDENTITY, durable=durable)
        assert one._connection.execute("PRAGMA synchronous").fetchone() == (level,)
        assert one._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        one.close()


@pytest.mark.parametrize(
    ("durable", "flushed"), [(False, []), (True, ["run", "1.bin.new", "values", "2.bin.new", "values"])]
)
def test_durable_flushes_files_of_values_and_their_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool, flushed: list[str]
):
    (tmp_path / "run").mkdir()
    new = Journal.create(str(tmp_path / "run"), IDENTITY, durable=durable)
    seen: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda fd: seen.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name))

    commit_all(new, [[BIG, BIG]])
    new.close()

    assert seen == flushed


def test_a_journal_is_moved_out_of_its_log_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "_CHECKPOINT_PAGES", 4)
    new = Journal.create(str(tmp_path), IDENTITY)
    commit_all(new, [[SMALL]] * 100)
    size = (tmp_path / "journal.db-wal").stat().st_size
    new.close()

    assert size < 10 * 4096 + 1000
    assert read(tmp_path) == [SMALL] * 100
