"""A journal that is cut, flipped or put together: whole entries from the start, or refused by name."""

from __future__ import annotations

import os
import random
import re
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path

import pytest
from damage import Entry, change, cut_at, each_damaged, flip, header_of, refusal_of, weaken
from small_journals import IDENTITY, STORY, contents, read, write, write_all, write_and_die

from lightning_lite.errors import (
    JournalCorrupt,
    JournalError,
    JournalMismatch,
    JournalVersion,
    NothingToResume,
)
from lightning_lite.runs import journal, journal_format
from lightning_lite.runs.journal_format import CHECKSUM_SIZE, ENTRY_HEAD, FILE_NAME, OLD_FILE_NAME, VERSION

from tests.support.journal_files import end_of_rewrite, ends_of_entries
from tests.support.limits import little_memory

HEADER_IS_WRONG = "the checksum of its header is wrong"


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Path]:
    """A folder in memory, if the system has that: thousands of journals are made and opened in it."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else tmp_path) as folder:
        yield Path(folder)


@pytest.fixture
def closed(place: Path) -> Path:
    """A journal that was closed."""
    write(place / "closed")
    return place / "closed"


@pytest.fixture
def killed(place: Path) -> Path:
    """A journal whose writer was killed."""
    write_and_die(place / "killed")
    return place / "killed"


@pytest.fixture(params=[3, 5], ids=["part of it", "all of it"])
def rewritten(request: pytest.FixtureRequest, place: Path) -> Path:
    """A journal whose writer was killed after it had rewritten some of it; a part has one more entry."""
    write_and_die(place / "rewritten", rewritten=request.param)
    return place / "rewritten"


def size_of(folder: Path) -> int:
    return (folder / FILE_NAME).stat().st_size


def cut(folder: Path, step: int = 1) -> dict[int, int | JournalError]:
    """Return what is left of a journal that is cut at each `step`-th byte, and at each end of an entry."""
    data, size = (folder / FILE_NAME).read_bytes(), size_of(folder)
    marks = [found.start() for found in re.finditer(re.escape(journal_format.MARK), data)]
    ends = {end for mark in (*marks, size) for end in (mark - 1, mark, mark + 1) if end <= size}
    sizes = sorted({*range(0, size, step), *ends})
    return dict(zip(sizes, each_damaged(folder, map(cut_at, sizes)), strict=True))


def flipped(folder: Path, bits: Iterable[int]) -> Counter[str]:
    verdicts = each_damaged(folder, map(flip, bits))
    return Counter("recovered" if isinstance(one, int) else type(one).__name__ for one in verdicts)


def all_bits(folder: Path, sample: int | None = None) -> Iterable[int]:
    bits = range(size_of(folder) * 8)
    return bits if sample is None else random.Random(sample).sample(bits, sample)


def start_of_last(folder: Path) -> int:
    """Return where the last entry of a journal begins, in bytes."""
    return (folder / FILE_NAME).read_bytes().rindex(journal_format.MARK)


def is_refused(verdict: int | JournalError) -> bool:
    return isinstance(verdict, JournalCorrupt | JournalVersion)


def test_a_journal_of_a_killed_process_that_is_cut_leaves_whole_entries(killed: Path):
    header = len(header_of(killed))
    verdicts = cut(killed)
    seen = [verdict for size, verdict in verdicts.items() if size >= header]

    assert all(is_refused(verdict) for size, verdict in verdicts.items() if size < header)
    assert set(seen) == set(range(len(STORY) + 1))
    assert seen == sorted(seen)


def test_a_rewritten_journal_that_is_cut_is_refused_or_leaves_whole_entries(rewritten: Path):
    whole = end_of_rewrite(rewritten / FILE_NAME)
    verdicts = cut(rewritten)
    seen = [verdict for size, verdict in verdicts.items() if size >= whole]

    assert all(is_refused(verdict) for size, verdict in verdicts.items() if size < whole)
    assert set(seen) == ({len(STORY) - 1, len(STORY)} if whole < size_of(rewritten) else {len(STORY)})
    assert seen == sorted(seen)


@pytest.mark.parametrize("entries", [[], [b"\x01" * 200_000, b"2"]])
def test_a_snapshot_without_its_end_is_refused_by_name(
    new: journal.Journal, tmp_path: Path, entries: list[bytes]
):
    new.write(b"old")
    rewrite = new.rewrite()
    for entry in entries:
        rewrite.write(entry)
    rewrite.finish(set())
    assert journal_format.read_entries(str(tmp_path)) == entries
    *ends, last = ends_of_entries(tmp_path / FILE_NAME)
    for size in (last - 1, *ends[::-1]):
        os.truncate(tmp_path / FILE_NAME, size)

        with pytest.raises(JournalCorrupt, match="the end of its snapshot is missing; start a new") as caught:
            journal_format.read_entries(str(tmp_path))

        assert caught.value.sequence == sum(end <= size for end in ends)


def test_a_snapshot_that_is_read_in_parts_is_refused_without_its_end(new: journal.Journal, tmp_path: Path):
    rewrite = new.rewrite()
    write_all(rewrite, STORY)
    rewrite.finish(set())
    for is_cut in (False, True):
        if is_cut:
            os.truncate(tmp_path / FILE_NAME, size_of(tmp_path) - 1)
        reader = journal_format.JournalReader(str(tmp_path))
        for entry in STORY:
            part = reader.read_on()
            assert next(part) == entry
            part.close()
        if is_cut:
            with pytest.raises(JournalCorrupt, match="the end of its snapshot is missing"):
                list(reader.read_on())
        else:
            assert list(reader.read_on()) == []
            new.write(b"more")
            assert list(reader.read_on()) == [b"more"]
            rewrite = new.rewrite()
            write_all(rewrite, STORY)
            rewrite.finish(set())


#: Prime, so that each of the eight bits of a byte is met.
SOME, EACH = 29, pytest.param(1, marks=pytest.mark.torture)


@pytest.mark.parametrize("step", [SOME, EACH])
def test_a_flipped_bit_of_a_closed_journal_is_refused_or_is_in_the_mark_of_its_end(closed: Path, step: int):
    last = start_of_last(closed)

    assert flipped(closed, range(0, last * 8, step)).keys() <= {"JournalCorrupt", "JournalVersion"}
    assert list(each_damaged(closed, map(flip, range(last * 8, size_of(closed) * 8)))) == [len(STORY)] * (
        (size_of(closed) - last) * 8
    )


@pytest.mark.parametrize("step", [SOME, EACH])
def test_a_flipped_bit_after_a_kill_is_refused_or_takes_the_last_entry(killed: Path, step: int):
    last = start_of_last(killed)

    assert flipped(killed, range(0, last * 8, step)).keys() <= {"JournalCorrupt", "JournalVersion"}
    assert set(each_damaged(killed, map(flip, range(last * 8, size_of(killed) * 8, step)))) == {
        len(STORY) - 1
    }


def test_flipped_bits_of_a_rewritten_journal_are_refused_or_take_the_last_entry(rewritten: Path):
    last = start_of_last(rewritten)

    bits = [bit for bit in all_bits(rewritten, 250) if bit < last * 8]
    assert flipped(rewritten, bits).keys() <= {"JournalCorrupt", "JournalVersion"}
    verdicts = list(each_damaged(rewritten, map(flip, range(last * 8, size_of(rewritten) * 8, 7))))
    if end_of_rewrite(rewritten / FILE_NAME) < size_of(rewritten):
        assert set(verdicts) == {len(STORY) - 1}
    else:
        assert all(map(is_refused, verdicts))


@pytest.mark.torture
def test_no_flipped_bit_of_a_rewritten_journal_at_all_gives_a_wrong_entry(rewritten: Path):
    assert flipped(rewritten, all_bits(rewritten))["JournalCorrupt"]


def test_what_the_loss_of_power_leaves_after_the_last_entry_is_cut_off(killed: Path):
    """A file system may have made the file longer, and not have written the bytes."""
    data, last = (killed / FILE_NAME).read_bytes(), start_of_last(killed)
    for rest in (bytes(5000), b"\xff" * 40, journal_format.MARK * 9, data[:200], os.urandom(3000)):
        (killed / FILE_NAME).write_bytes(data + rest)
        assert read(killed) == STORY
        (killed / FILE_NAME).write_bytes(data[: last + 3] + rest)
        assert read(killed) == STORY[:-1]


def test_a_torn_end_is_cut_off_by_the_next_write_and_not_before(killed: Path):
    whole = (killed / FILE_NAME).read_bytes()
    (killed / FILE_NAME).write_bytes(whole + b"torn" * 1000)
    before = contents(killed)

    again = journal.Journal.open(str(killed), IDENTITY)
    assert contents(killed) == before
    again.write(b"short")
    again.close()

    assert read(killed) == [*STORY, b"short"]
    assert size_of(killed) < len(whole) + 200


def test_without_checksums_flipped_bits_would_be_believed(place: Path, monkeypatch: pytest.MonkeyPatch):
    weaken(monkeypatch, lambda _: bytes(CHECKSUM_SIZE))
    write(place / "weak")

    with pytest.raises(AssertionError, match="a wrong state"):
        flipped(place / "weak", all_bits(place / "weak", 1000))


def join(folder: Path, other: Path) -> None:
    """Put the entries of the one journal up to the third, and those of the other from there on, together."""
    theirs: list[Entry] = []
    change(other, theirs.extend)
    change(folder, lambda entries: entries.__setitem__(slice(3, None), theirs[3:]))


def test_two_journals_that_were_joined_are_refused(closed: Path, tmp_path: Path):
    write(tmp_path / "other")
    join(closed, tmp_path / "other")

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert error.sequence == 4


def test_without_the_chain_joined_journals_would_be_believed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    start = CHECKSUM_SIZE + ENTRY_HEAD.size
    weaken(monkeypatch, lambda data: blake2b(data[start:], digest_size=CHECKSUM_SIZE).digest())
    for name in ("one", "other"):
        write(tmp_path / name)
    join(tmp_path / "one", tmp_path / "other")

    assert read(tmp_path / "one") == STORY


def put(position: int, **fields: object) -> Callable[[list[Entry]], None]:
    """Return a function that puts a changed copy of the entry before a position there."""
    return lambda entries: entries.insert(position, entries[position - 1]._replace(**fields))


def replace(place: int, **fields: object) -> Callable[[list[Entry]], None]:
    def change_entries(entries: list[Entry]) -> None:
        entries[place - 1] = entries[place - 1]._replace(**fields)

    return change_entries


@pytest.mark.parametrize(
    ("change_entries", "number"),
    [
        (put(5), 6),
        (put(5, number=7), 6),
        (put(1, number=0), 2),
        (lambda entries: entries.pop(0), 1),
        (lambda entries: entries.pop(1), 2),
        (lambda entries: entries.pop(3), 4),
        (lambda entries: entries.reverse(), 1),
        (replace(1, data=b"other"), 1),
        (replace(3, data=b""), 3),
        (replace(4, number=5), 4),
        (replace(5, checksum=bytes(16)), 5),
    ],
)
def test_a_journal_with_changed_entries_is_refused(
    closed: Path, change_entries: Callable[[list[Entry]], object], number: int
):
    change(closed, change_entries)

    error = refusal_of(closed)

    assert isinstance(error, JournalCorrupt)
    assert error.sequence == number
    assert error.file == str(closed / FILE_NAME)
    assert " byte" in error.what
    assert str(error).isprintable()


def overwrite(folder: Path, offset: int, data: bytes) -> None:
    with open(folder / FILE_NAME, "r+b") as file:
        file.seek(offset)
        file.write(data)


@pytest.mark.parametrize("version", [0, 1, 2, 3, 99])
def test_another_version_is_refused(closed: Path, version: int):
    overwrite(closed, len(journal_format._MAGIC), version.to_bytes(4, "little"))

    error = refusal_of(closed)

    assert isinstance(error, JournalVersion)
    assert (error.found, error.known) == (version, VERSION)


def test_a_changed_header_is_refused(closed: Path):
    for offset in range(len(journal_format._MAGIC) + 4, len(header_of(closed))):
        before = (closed / FILE_NAME).read_bytes()
        overwrite(closed, offset, bytes([before[offset] ^ 0x55]))
        assert isinstance(refusal_of(closed), JournalCorrupt)
        (closed / FILE_NAME).write_bytes(before)


def test_the_journal_of_another_app_is_refused(closed: Path):
    error = refusal_of(closed, "other.py:Root")

    assert isinstance(error, JournalMismatch)
    assert (error.found, error.asked) == (IDENTITY, "other.py:Root")


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"", "it is empty"),
        (b"L", "its size in bytes is only 1"),
        (b"S", "it is not a journal"),
        (b"this is a text\n" * 50, "it is not a journal"),
        (b"SQLite format 3\0" + bytes(5000), "it is not a journal"),
        (
            journal_format._MAGIC + VERSION.to_bytes(4, "little") + bytes(5000),
            "the checksum of its header is wrong",
        ),
        (
            journal_format._MAGIC + VERSION.to_bytes(4, "little") + b"\xff" * 50,
            "the checksum of its header is wrong",
        ),
    ],
)
def test_a_file_that_is_not_a_journal_is_refused(tmp_path: Path, data: bytes, what: str):
    (tmp_path / FILE_NAME).write_bytes(data)

    error = refusal_of(tmp_path)

    assert isinstance(error, JournalCorrupt)
    assert error.what == what


@pytest.mark.parametrize(
    ("make", "what"),
    [
        (os.mkdir, "it is a folder"),
        (os.mkfifo, "it is a FIFO"),
        (lambda path: os.symlink("/dev/null", path), "it is a symbolic link"),
    ],
)
def test_what_is_not_a_regular_file_is_refused_and_never_opened(closed: Path, make, what: str):
    (closed / FILE_NAME).unlink()
    make(closed / FILE_NAME)

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
    (closed / FILE_NAME).chmod(0o400)

    assert "read-only" in str(refusal_of(closed))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_journal_of_another_user_is_refused(closed: Path):
    os.chown(closed / FILE_NAME, 1000, 1000)

    assert "user 1000" in str(refusal_of(closed))


def test_a_run_without_a_journal_has_nothing_to_resume(tmp_path: Path):
    with pytest.raises(NothingToResume):
        journal.Journal.open(str(tmp_path), IDENTITY)
    with pytest.raises(NothingToResume):
        journal.Journal.open(str(tmp_path / "missing"), IDENTITY)

    assert contents(tmp_path) == {}
    assert not (tmp_path / "journal.lock").exists()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo, lambda path: os.symlink("/dev/null", path)])
def test_an_old_journal_that_is_not_a_regular_file_is_refused_and_never_opened(tmp_path: Path, make):
    make(tmp_path / OLD_FILE_NAME)

    assert isinstance(refusal_of(tmp_path), JournalVersion)


@pytest.mark.parametrize("piece", [1, 7, 40, 333])
def test_entries_that_lie_in_several_pieces_of_the_file_are_read_as_all_others(
    closed: Path, killed: Path, monkeypatch: pytest.MonkeyPatch, piece: int
):
    monkeypatch.setattr(journal_format, "_PIECE", piece)

    assert read(closed) == read(killed) == STORY
    header = len(header_of(killed))
    seen = cut(killed, 31)
    assert all(is_refused(verdict) for size, verdict in seen.items() if size < header)
    assert seen[size_of(killed)] == len(STORY)
    assert flipped(closed, range(0, start_of_last(closed) * 8, 211)).keys() <= {
        "JournalCorrupt",
        "JournalVersion",
    }
    data = (killed / FILE_NAME).read_bytes()
    for rest in (bytes(500), journal_format.MARK * 9, data[:200]):
        (killed / FILE_NAME).write_bytes(data + rest)
        assert read(killed) == STORY


@pytest.mark.parametrize("size", [journal_format._MAX_TORN + 10_000, 100 * 1000**3])
def test_a_journal_that_another_program_has_made_huge_is_refused_at_once(closed: Path, size: int):
    os.truncate(closed / FILE_NAME, size)

    with little_memory(), pytest.raises(JournalCorrupt, match="are not an entry") as caught:
        journal.Journal.open(str(closed), IDENTITY)

    assert caught.value.sequence == len(STORY) + 2  # the mark of the end is an entry, too
    assert size_of(closed) == size
    os.truncate(closed / FILE_NAME, 0)
    os.truncate(closed / FILE_NAME, size)
    with little_memory(), pytest.raises(JournalCorrupt, match="it is not a journal"):
        journal.Journal.open(str(closed), IDENTITY)


def test_a_header_with_a_huge_identity_takes_no_memory(closed: Path):
    overwrite(closed, len(journal_format._MAGIC) + 4, b"\xff" * 4)
    os.truncate(closed / FILE_NAME, 100 * 1000**3)

    with little_memory(), pytest.raises(JournalCorrupt, match="checksum of its header"):
        journal_format.read_entries(str(closed))


def test_what_is_appended_while_a_journal_is_read_is_left_for_the_next_time(
    new: journal.Journal, tmp_path: Path
):
    new.write(b"one")
    new.write(b"two")
    found = journal_format.iterate_journal(str(tmp_path))
    assert next(found) == b"one"
    new.write(b"three")

    assert list(found) == [b"two"]
    assert journal_format.read_entries(str(tmp_path)) == [b"one", b"two", b"three"]
