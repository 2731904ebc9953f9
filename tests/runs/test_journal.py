"""What is written to a journal is read again: all of it, in order, once."""

from __future__ import annotations

import os
import resource
import sqlite3
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import pytest
from damage import IDENTITY, STORY, commit_all, contents, flat, read, write

from lightning_lite.errors import JournalCorrupt, JournalError
from lightning_lite.runs import database, values
from lightning_lite.runs.journal import Journal, Record
from lightning_lite.runs.values import INLINE_LIMIT, ValueFile

SMALL = Record("ended", "root.train", "9f3a", b"small")
BIG = Record("ended", "root.train", "9f3a", os.urandom(1024) * (INLINE_LIMIT // 512))


@pytest.fixture
def new(tmp_path: Path) -> Iterator[Journal]:
    new = Journal.create(str(tmp_path), IDENTITY)
    yield new
    new.close()


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
    monkeypatch.setattr(
        values.os, "fsync", lambda fd: seen.append(os.path.basename(os.readlink(f"/proc/self/fd/{fd}")))
    )

    commit_all(new, [[BIG, BIG]])
    new.close()

    assert seen == flushed


def test_a_big_value_stays_on_disk_until_it_is_asked_for(new: Journal, tmp_path: Path):
    commit_all(new, [[SMALL, BIG]])

    small, big = new.records()

    assert small == SMALL
    assert isinstance(big.data, ValueFile)
    assert (big.data.size, big.data.path) == (len(BIG.load()), str(tmp_path / "values" / "2.bin"))
    assert big.load() == BIG.data
    assert (tmp_path / "journal.db-wal").stat().st_size < INLINE_LIMIT


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
def test_a_journal_without_its_values_is_refused(
    new: Journal, tmp_path: Path, damage: Callable[[Path], object]
):
    commit_all(new, [[SMALL, BIG]])
    new.close()

    damage(tmp_path / "values" / "2.bin")

    with pytest.raises(JournalCorrupt, match=r"2\.bin") as caught:
        Journal.open(str(tmp_path), IDENTITY)
    assert caught.value.sequence == 2


def test_a_value_that_was_changed_is_not_handed_out(new: Journal, tmp_path: Path):
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


def test_values_of_records_that_were_never_committed_are_removed(new: Journal, tmp_path: Path):
    commit_all(new, [[BIG]])
    new.close()
    for name in ("2.bin", "3.bin.new", "notes.txt"):
        (tmp_path / "values" / name).touch()

    assert read(tmp_path) == [BIG]
    assert {file.name for file in (tmp_path / "values").iterdir()} == {"1.bin", "notes.txt"}


@contextmanager
def full_disk() -> Iterator[None]:
    """Let no file of this process grow beyond 32 KiB."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (32 * 1024, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("record", [SMALL._replace(data=b"x" * 60_000), BIG], ids=["in the log", "in a file"])
@pytest.mark.parametrize("more", [[], [SMALL]], ids=["alone", "with another one"])
def test_a_commit_that_fails_writes_nothing_and_can_be_tried_again(
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


def test_closing_gives_the_run_back_even_if_the_disk_is_full(new: Journal, tmp_path: Path):
    commit_all(new, [[SMALL]])
    new.append(BIG)

    with full_disk(), pytest.raises(JournalError):
        new.close()

    assert read(tmp_path) == [SMALL]


@contextmanager
def interrupted_at(line: int) -> Iterator[list[int]]:
    """Let Ctrl-C come at the n-th line of the package that is run; give how many were run."""
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


# A file that was just opened when Ctrl-C came is closed by the garbage collector, which says so.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("records", [[SMALL], [SMALL, SMALL], [SMALL, BIG]], ids=["one", "two", "a big one"])
def test_a_commit_that_is_interrupted_at_any_line_is_made_once(tmp_path: Path, records: list[Record]):
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


def test_another_program_that_has_the_journal_locked_is_named_as_what_is_in_the_way(
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


def test_a_reader_may_look_while_the_journal_is_written(new: Journal, tmp_path: Path):
    commit_all(new, STORY[:1])
    reader = sqlite3.connect(f"file:{tmp_path}/journal.db?mode=ro", uri=True)
    count = reader.execute("SELECT count(*) FROM record").fetchone()

    commit_all(new, STORY[1:])
    reader.close()
    new.close()

    assert count == (1,)
    assert read(tmp_path) == flat(STORY)


def test_a_journal_is_moved_out_of_its_log_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(database, "_CHECKPOINT_PAGES", 4)
    new = Journal.create(str(tmp_path), IDENTITY)
    commit_all(new, [[SMALL]] * 100)
    size = (tmp_path / "journal.db-wal").stat().st_size
    new.close()

    assert size < 10 * 4096 + 1000
    assert read(tmp_path) == [SMALL] * 100


def test_a_folder_that_can_not_be_written_to_is_named(tmp_path: Path):
    with pytest.raises(JournalError, match="No such file or directory"):
        Journal.create(str(tmp_path / "missing"), IDENTITY)
    (tmp_path / "file").touch()
    with pytest.raises(JournalError, match="Not a directory"):
        Journal.create(str(tmp_path / "file"), IDENTITY)


def test_the_documented_size_is_the_last_one_that_stands_in_the_journal_itself(new: Journal):
    sizes = (INLINE_LIMIT, INLINE_LIMIT + 1)

    commit_all(new, [[SMALL._replace(data=b"x" * size) for size in sizes]])

    assert [type(record.data) for record in new.records()] == [bytes, ValueFile]
