"""Big values have files of their own next to the journal, which are checked when they are read."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from small_journals import IDENTITY

from lightning_lite.engine.history import read_history
from lightning_lite.errors import JournalCorrupt, JournalError
from lightning_lite.events import CallAsked, CallSucceeded, ComponentAttached, Event
from lightning_lite.runs.event_codec import decode_events, encode_events
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import FILE_NAME
from lightning_lite.runs.journal_values import INLINE_LIMIT, JournalValue, remove_unneeded

BIG = os.urandom(1024) * (INLINE_LIMIT // 512)


def write_values(journal: Journal, *values: bytes) -> None:
    """Write calls that return values, in one entry."""
    events: list[Event] = [ComponentAttached("root.w", 1.0, True, ("app.py", "W"), {})]
    for number, value in enumerate(values, 1):
        events.append(CallAsked("root.w", f"{number}", 1.0, number, b""))
        events.append(CallSucceeded("root.w", f"{number}", 1.0, value))
    journal.write(encode_events(events, journal.keep_value))


def read_values(folder: Path) -> list[object]:
    journal = Journal.open(str(folder), IDENTITY)
    try:
        events = list(decode_events(journal.entries(), journal.path))
    finally:
        journal.close()
    return [event.value for event in events if isinstance(event, CallSucceeded)]


def test_a_big_value_stays_on_disk_until_it_is_read(new: Journal, tmp_path: Path):
    write_values(new, b"small", BIG)
    new.close()

    small, big = read_values(tmp_path)

    assert small == b"small"
    assert isinstance(big, JournalValue)
    assert (big.size, big.path) == (len(BIG), str(tmp_path / "values" / big.name))
    assert big.load() == BIG
    assert (tmp_path / FILE_NAME).stat().st_size < 1000


def test_the_documented_size_is_the_last_one_that_is_in_the_journal_itself(new: Journal, tmp_path: Path):
    write_values(new, *(b"x" * size for size in (INLINE_LIMIT, INLINE_LIMIT + 1)))
    new.close()

    assert [type(value) for value in read_values(tmp_path)] == [bytes, JournalValue]


def test_equal_values_are_one_file(new: Journal, tmp_path: Path):
    write_values(new, BIG, BIG)
    new.close()

    assert len(list((tmp_path / "values").iterdir())) == 1
    assert [value.load() for value in read_values(tmp_path)] == [BIG, BIG]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
@pytest.mark.parametrize("change", ["owner", "group"])
def test_a_value_that_another_user_could_have_written_is_not_read(new: Journal, tmp_path: Path, change: str):
    write_values(new, BIG)
    new.close()
    (big,) = read_values(tmp_path)
    if change == "owner":
        os.chown(big.path, 1000, 1000)
    else:
        os.chmod(big.path, 0o620)

    with pytest.raises(
        JournalError,
        match=r"is not read: (it belongs to user 1000|other users may write).*, run ch(own|mod) ",
    ):
        big.load()


def test_a_value_that_was_read_is_referred_to_and_not_written_again(new: Journal, tmp_path: Path):
    write_values(new, BIG)
    new.close()
    (big,) = read_values(tmp_path)
    before = os.stat(big.path).st_mtime_ns

    again = Journal.open(str(tmp_path), IDENTITY)
    write_values(again, big)
    again.close()

    assert [value.load() for value in read_values(tmp_path)] == [BIG, BIG]
    assert os.stat(big.path).st_mtime_ns == before


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
    new: Journal, tmp_path: Path, damage: Callable[[Path], object], request: pytest.FixtureRequest
):
    write_values(new, b"small", BIG)
    new.close()
    (path,) = (tmp_path / "values").iterdir()

    damage(path)

    with pytest.raises(JournalCorrupt, match=path.name) as caught:
        read_history(str(tmp_path))
    kind = request.node.callspec.id
    if kind.startswith("a "):
        kind = "a symbolic link" if kind == "a link" else kind
        assert caught.value.what == f"it is {kind}, not a file of {len(BIG)} bytes"
    small, big = read_values(tmp_path)
    assert small == b"small"
    with pytest.raises(JournalCorrupt, match=path.name):
        big.load()


def test_a_value_that_was_changed_is_not_handed_out(new: Journal, tmp_path: Path):
    write_values(new, BIG, b"small")
    new.close()
    (path,) = (tmp_path / "values").iterdir()
    changed = bytearray(path.read_bytes())
    changed[777] ^= 1
    path.write_bytes(changed)

    big, small = read_values(tmp_path)

    assert small == b"small"
    with pytest.raises(JournalCorrupt, match="its checksum is wrong"):
        big.load()


def test_values_that_no_call_refers_to_are_removed(new: Journal, tmp_path: Path):
    name = new.keep_value(b"needed").name
    for other in ("2.bin", "3.bin.new", "notes.txt"):
        (tmp_path / "values" / other).touch()

    remove_unneeded(str(tmp_path), {name})

    assert {file.name for file in (tmp_path / "values").iterdir()} == {name, "notes.txt"}


def test_a_rewrite_removes_the_values_that_it_does_not_need(new: Journal, tmp_path: Path):
    kept, gone = new.keep_value(b"kept"), new.keep_value(b"gone")
    rewrite = new.rewrite()
    late = new.keep_value(b"written in the meantime")

    rewrite.finish({kept.name})

    assert {file.name for file in (tmp_path / "values").iterdir()} == {kept.name, late.name}
    with pytest.raises(JournalCorrupt, match=gone.name):
        gone.load()
