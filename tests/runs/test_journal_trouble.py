"""With a full disk, Ctrl-C or another program, no record is written in part or twice."""

from __future__ import annotations

import resource
import shutil
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest
from small_journals import BIG, IDENTITY, SMALL, TRANSACTIONS, commit_all, flat, read

from lightning_lite.engine.recorder import Recorder
from lightning_lite.errors import JournalCorrupt, JournalError
from lightning_lite.runs import database
from lightning_lite.runs.journal import Journal, Record

MORE = SMALL._replace(key="more")
LARGE = SMALL._replace(data=b"x" * 60_000)


@contextmanager
def full_disk() -> Iterator[None]:
    """Limit the size of files of this process to 32 KiB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("record", [LARGE, BIG], ids=["in the log", "in a file"])
@pytest.mark.parametrize("more", [[], [SMALL]], ids=["alone", "with another one"])
def test_a_failed_commit_writes_nothing_and_can_be_repeated(
    new: Journal, tmp_path: Path, record: Record, more: list[Record]
):
    commit_all(new, [[SMALL]])
    for one in (*more, record):
        new.append(one)

    with full_disk():
        for _ in range(2):
            with pytest.raises(JournalError, match="can't be read or written") as caught:
                new.commit()
            assert not isinstance(caught.value, JournalCorrupt)
            assert list(new.records()) == [SMALL]
    new.close()

    assert read(tmp_path) == [SMALL, *more, record]


def test_close_releases_the_lock_even_if_the_disk_is_full(new: Journal, tmp_path: Path):
    commit_all(new, [[SMALL]])
    new.append(BIG)

    with full_disk(), pytest.raises(JournalError):
        Recorder(new).close()

    assert read(tmp_path) == [SMALL]


def test_a_second_close_has_no_effect_even_if_the_first_one_failed(new: Journal, tmp_path: Path):
    new.append(SMALL)
    new.secure()
    new.append(LARGE)
    with full_disk(), pytest.raises(JournalError):
        new.close()

    new.close()

    assert read(tmp_path) == [SMALL]


@contextmanager
def interrupted_at(line: int) -> Iterator[list[int]]:
    """Raise KeyboardInterrupt at the n-th executed line of the package; yield the count of lines."""
    count = [0]

    def trace(frame: FrameType, event: str, _: object) -> Callable[..., object] | None:
        if "lightning_lite" not in frame.f_code.co_filename:
            return None
        if event == "line":
            count[0] += 1
            if count[0] == line:
                raise KeyboardInterrupt
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield count
    finally:
        sys.settrace(before)


# The garbage collector closes a file that was open at the interrupt, with a warning.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("records", [[SMALL], [SMALL, SMALL], [SMALL, BIG]], ids=["one", "two", "a big one"])
def test_a_commit_that_is_interrupted_at_any_line_writes_each_record_once(
    tmp_path: Path, records: list[Record]
):
    line, count = 0, [0]
    while count[0] >= line:
        line += 1
        (tmp_path / str(line)).mkdir()
        mine = Journal.create(str(tmp_path / str(line)), IDENTITY)
        for record in records:
            mine.append(record)
        with suppress(KeyboardInterrupt), interrupted_at(line) as count:
            mine.commit()
        mine.close()
        assert read(tmp_path / str(line)) == records
    assert line > 20


# See above.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("records", [[SMALL], [SMALL, BIG]], ids=["one", "with a big one"])
def test_secured_records_survive_ctrl_c_at_any_line_a_full_disk_and_a_crash(
    tmp_path: Path, records: list[Record]
):
    line, count = 0, [0]
    while count[0] >= line:
        line += 1
        folder, left = tmp_path / str(line), tmp_path / f"{line} after a crash"
        folder.mkdir()
        mine = Journal.create(str(folder), IDENTITY)
        for record in records:
            mine.append(record)
        with suppress(KeyboardInterrupt), interrupted_at(line) as count:
            mine.secure()
        mine.append(MORE)
        mine.secure()
        mine.append(LARGE)
        with full_disk(), pytest.raises(JournalError):
            mine.secure()
        shutil.copytree(folder, left)
        mine.close()
        assert read(left) == [*records, MORE]
        assert read(folder) == [*records, MORE, LARGE]
    assert line > 20


def test_a_journal_that_another_program_has_locked_is_an_error_that_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(database, "_BUSY_TIMEOUT", 0.01)
    new = Journal.create(str(tmp_path), IDENTITY)
    tool = sqlite3.connect(tmp_path / "journal.db", isolation_level=None)
    tool.execute("BEGIN IMMEDIATE")
    new.append(SMALL)

    with pytest.raises(JournalError, match="another program has locked it"):
        new.commit()
    tool.execute("ROLLBACK")
    tool.close()
    new.close()

    assert read(tmp_path) == [SMALL]


def test_the_journal_can_be_written_during_a_read(new: Journal, tmp_path: Path):
    commit_all(new, TRANSACTIONS[:1])
    reader = sqlite3.connect(f"file:{tmp_path}/journal.db?mode=ro", uri=True)
    count = reader.execute("SELECT count(*) FROM batch").fetchone()

    commit_all(new, TRANSACTIONS[1:])
    reader.close()
    new.close()

    assert count == (1,)
    assert read(tmp_path) == flat(TRANSACTIONS)


def test_a_folder_that_can_not_be_written_is_refused_by_name(tmp_path: Path):
    with pytest.raises(JournalError, match="No such file or directory"):
        Journal.create(str(tmp_path / "missing"), IDENTITY)
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="Not a directory"):
        Journal.create(str(tmp_path / "file"), IDENTITY)
