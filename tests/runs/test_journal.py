"""All records of a journal are read again, in order, once."""

from __future__ import annotations

import os
import resource
import stat
from pathlib import Path

import pytest
from small_journals import IDENTITY, SMALL, STORY, contents, read, write, write_all, write_and_die

from lightning_lite.errors import JournalError, JournalMismatch
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME, read_entries

from tests.support.limits import limited


def test_entries_are_read_as_they_were_written(tmp_path: Path):
    write(tmp_path / "run")

    assert read(tmp_path / "run") == STORY
    assert read_entries(str(tmp_path / "run")) == STORY


def test_entries_of_a_killed_process_are_read_as_they_were_written(tmp_path: Path):
    write_and_die(tmp_path / "run")

    assert read(tmp_path / "run") == STORY


def test_a_new_journal_is_empty(new: Journal, tmp_path: Path):
    new.close()

    assert read(tmp_path) == []


def test_a_journal_is_continued_as_often_as_one_likes(tmp_path: Path):
    Journal.create(str(tmp_path), IDENTITY).close()

    for entry in STORY:
        again = Journal.open(str(tmp_path), IDENTITY)
        again.write(entry)
        again.close()

    assert read(tmp_path) == STORY


def test_data_may_be_anything(new: Journal, tmp_path: Path):
    odd = [b"\0", bytes(range(256)), b"\0" * 100_000, (tmp_path / FILE_NAME).read_bytes()]
    write_all(new, odd)
    new.close()

    assert read(tmp_path) == odd


def test_an_identity_may_hold_any_name_of_a_file(tmp_path: Path):
    identity = os.fsdecode(b"/home/\xff/app's 100%?#.py") + ":Root"

    Journal.create(str(tmp_path), identity).close()

    assert read(tmp_path, identity) == []


def test_what_is_written_is_there_at_once(new: Journal, tmp_path: Path):
    new.write(SMALL)

    assert list(new.entries()) == read_entries(str(tmp_path)) == [SMALL]


def test_a_second_close_has_no_effect(new: Journal, tmp_path: Path):
    new.write(SMALL)
    new.close()
    before = contents(tmp_path)
    new.close()

    assert contents(tmp_path) == before
    assert read(tmp_path) == [SMALL]


def test_a_journal_to_which_nothing_is_written_does_not_change(tmp_path: Path):
    write(tmp_path / "run")
    before = contents(tmp_path / "run")

    Journal.open(str(tmp_path / "run"), IDENTITY).close()

    assert contents(tmp_path / "run") == before


def test_all_files_are_for_their_user_alone(tmp_path: Path):
    previous = os.umask(0)
    try:
        new = Journal.create(str(tmp_path), IDENTITY)
        new.write(SMALL)
        value = new.keep_value(b"big")
        files = [
            file for file in tmp_path.rglob("*") if file.name.startswith("journal") or file.suffix == ".bin"
        ]
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
        folder = stat.S_IMODE((tmp_path / "values").stat().st_mode)
        new.close()
    finally:
        os.umask(previous)

    assert modes == dict.fromkeys({FILE_NAME, "journal.lock", value.name}, 0o600)
    assert folder == 0o700


def test_a_second_journal_is_not_begun_over_the_first_one(tmp_path: Path):
    write(tmp_path / "run")

    with pytest.raises(JournalError, match="open that one"):
        Journal.create(str(tmp_path / "run"), IDENTITY)

    assert read(tmp_path / "run") == STORY


def test_what_a_dead_beginner_left_is_not_a_journal_and_is_replaced(tmp_path: Path):
    (tmp_path / f"{FILE_NAME}.new").write_bytes(b"half of it")

    Journal.create(str(tmp_path), IDENTITY).close()

    assert read(tmp_path) == []
    assert not (tmp_path / f"{FILE_NAME}.new").exists()


@pytest.fixture
def flushed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files and folders that were flushed."""
    seen: list[str] = []
    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, lambda fd: seen.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name))
    return seen


@pytest.mark.parametrize("durable", [False, True])
def test_durable_flushes_each_entry_and_the_name_of_the_journal(
    tmp_path: Path, flushed: list[str], durable: bool
):
    (tmp_path / "run").mkdir()
    new = Journal.create(str(tmp_path / "run"), IDENTITY, durable=durable)
    assert flushed == ([f"{FILE_NAME}.new", "run"] if durable else [])

    flushed.clear()
    write_all(new, STORY)
    assert flushed == [FILE_NAME] * len(STORY) * durable
    new.close()

    flushed.clear()
    again = Journal.open(str(tmp_path / "run"), IDENTITY, durable=durable)
    again.write(SMALL)
    assert flushed == [FILE_NAME] * durable
    again.close()


@pytest.mark.parametrize("durable", [False, True])
def test_durable_flushes_files_of_values_and_their_names(tmp_path: Path, flushed: list[str], durable: bool):
    (tmp_path / "run").mkdir()
    new = Journal.create(str(tmp_path / "run"), IDENTITY, durable=durable)
    flushed.clear()

    names = [new.keep_value(data).name for data in (b"one", b"other")]
    new.close()

    one, other = (f"{name}.new" for name in names)
    assert flushed == (["run", one, "values", other, "values"] if durable else [])


@pytest.mark.parametrize("durable", [False, True])
def test_a_rewritten_journal_is_flushed_before_its_renaming_and_the_name_if_durable(
    tmp_path: Path, flushed: list[str], durable: bool
):
    (tmp_path / "run").mkdir()
    new = Journal.create(str(tmp_path / "run"), IDENTITY, durable=durable)
    flushed.clear()

    rewrite = new.rewrite()
    write_all(rewrite, STORY)
    rewrite.finish(set())
    new.close()

    assert flushed == [f"{FILE_NAME}.new", *["run"] * durable]


def has_died(folder: Path, *entries: bytes) -> bool:
    """Open a journal, write entries, close it, and return whether its last writer had died before."""
    journal = Journal.open(str(folder), IDENTITY)
    write_all(journal, list(entries))
    journal.close()
    return journal.writer_has_died


def test_a_journal_says_whether_its_last_writer_has_died(tmp_path: Path):
    killed, closed = tmp_path / "killed", tmp_path / "closed"
    write_and_die(killed)
    write(closed)

    for _ in range(2):  # a process that writes nothing changes nothing
        assert has_died(killed)
        assert not has_died(closed)
        for folder in (killed, closed):
            with pytest.raises(JournalMismatch):
                Journal.open(str(folder), "another.py:Root")

    assert has_died(killed, SMALL)
    assert not has_died(killed)


def test_a_writer_that_finds_no_space_at_its_end_has_not_died(tmp_path: Path):
    run = tmp_path / "run"
    write_and_die(run)
    journal = Journal.open(str(run), IDENTITY)
    journal.write(SMALL)
    with limited(resource.RLIMIT_FSIZE, 0), pytest.raises(JournalError, match="can't be read or written"):
        journal.close()

    assert not has_died(run)


def test_a_writer_that_finds_no_space_at_all_leaves_the_end_of_the_one_before(tmp_path: Path):
    run = tmp_path / "run"
    write_and_die(run)
    journal = Journal.open(str(run), IDENTITY)
    with limited(resource.RLIMIT_FSIZE, 0), pytest.raises(JournalError, match="can't be read or written"):
        journal.write(SMALL)
    with limited(resource.RLIMIT_FSIZE, 0), pytest.raises(JournalError, match="can't be read or written"):
        journal.close()

    assert has_died(run)


def test_a_process_that_can_not_write_its_name_leaves_the_end_of_the_one_before(tmp_path: Path):
    run = tmp_path / "run"
    write_and_die(run)
    with limited(resource.RLIMIT_FSIZE, 0), pytest.raises(JournalError):
        Journal.open(str(run), IDENTITY)
    assert has_died(run)

    (run / "journal.lock").unlink()
    assert has_died(run)  # a new file says nothing
