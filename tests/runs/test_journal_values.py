"""Big values are in files next to the journal, which are checked when they are loaded."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_journals import BIG, IDENTITY, SMALL, commit_all, read

from lightning_lite.errors import JournalCorrupt
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.values import INLINE_LIMIT, ValueFile


def test_a_big_value_stays_on_disk_until_it_is_loaded(new: Journal, tmp_path: Path):
    commit_all(new, [[SMALL, BIG]])

    small, big = new.records()

    assert small == SMALL
    assert isinstance(big.data, ValueFile)
    assert (big.data.size, big.data.path) == (len(BIG.load()), str(tmp_path / "values" / "2.bin"))
    assert big.load() == BIG.data
    assert (tmp_path / "journal.db-wal").stat().st_size < INLINE_LIMIT


def test_values_above_the_documented_size_are_in_files(new: Journal):
    sizes = (INLINE_LIMIT, INLINE_LIMIT + 1)

    commit_all(new, [[SMALL._replace(data=b"x" * size) for size in sizes]])

    assert [type(record.data) for record in new.records()] == [bytes, ValueFile]


def test_a_value_that_was_read_can_be_written_again(new: Journal, tmp_path: Path):
    commit_all(new, [[BIG]])
    commit_all(new, [list(new.records())])
    new.close()

    assert read(tmp_path) == [BIG, BIG]


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.unlink(),
        lambda path: path.write_bytes(path.read_bytes()[:-1]),
        lambda path: path.write_bytes(path.read_bytes() + b"x"),
        lambda path: (path.unlink(), path.mkdir()),
        lambda path: (path.unlink(), os.mkfifo(path)),
        lambda path: (path.rename(path.with_name("other")), path.symlink_to(path.with_name("other"))),
    ],
    ids=["gone", "too short", "too long", "a folder", "a FIFO", "a link"],
)
def test_a_journal_with_a_missing_or_damaged_value_is_refused(
    new: Journal, tmp_path: Path, damage: Callable[[Path], object]
):
    commit_all(new, [[SMALL, BIG]])
    new.close()

    damage(tmp_path / "values" / "2.bin")

    with pytest.raises(JournalCorrupt, match=r"2\.bin") as caught:
        Journal.open(str(tmp_path), IDENTITY)
    assert caught.value.sequence == 2


def test_a_changed_value_is_refused_when_it_is_loaded(new: Journal, tmp_path: Path):
    commit_all(new, [[BIG, SMALL]])
    new.close()
    path = tmp_path / "values" / "1.bin"
    changed = bytearray(path.read_bytes())
    changed[777] ^= 1
    path.write_bytes(changed)

    again = Journal.open(str(tmp_path), IDENTITY)
    big, small = again.records()
    again.close()

    assert small == SMALL
    with pytest.raises(JournalCorrupt, match="its checksum is wrong"):
        big.load()


def test_values_of_uncommitted_records_are_removed(new: Journal, tmp_path: Path):
    commit_all(new, [[BIG]])
    new.close()
    for name in ("2.bin", "3.bin.new", "notes.txt"):
        (tmp_path / "values" / name).touch()

    assert read(tmp_path) == [BIG]
    assert {file.name for file in (tmp_path / "values").iterdir()} == {"1.bin", "notes.txt"}
