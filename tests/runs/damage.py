"""Journals that are damaged, and the results that readers may get from them."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

import pytest
from small_journals import IDENTITY, STORY, contents, read

from lightning_lite.errors import JournalError
from lightning_lite.runs import journal, journal_format
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.journal_format import CHECKSUM_SIZE, ENTRY_HEAD, FILE_NAME, MARK, read_entries


class Entry(NamedTuple):
    """One entry of a journal, as it is on disk."""

    number: int
    data: bytes
    checksum: bytes


def header_of(folder: Path) -> bytes:
    """Return the header of a journal, up to its first entry."""
    data = (folder / FILE_NAME).read_bytes()
    return data[: data.index(MARK)]


def change(folder: Path, change_entries: Callable[[list[Entry]], object]) -> None:
    """Change the entries of a journal, without computing their checksums again."""
    header, data = header_of(folder), (folder / FILE_NAME).read_bytes()
    entries, offset = [], len(header)
    while offset < len(data):
        _, number, size, _ = ENTRY_HEAD.unpack_from(data, offset)
        start = offset + ENTRY_HEAD.size
        offset = start + size + CHECKSUM_SIZE
        entries.append(Entry(number, data[start : start + size], data[offset - CHECKSUM_SIZE : offset]))
    change_entries(entries)
    salt = crc32(header[-CHECKSUM_SIZE:])
    parts = [header]
    for entry in entries:
        head = ENTRY_HEAD.pack(MARK, entry.number, len(entry.data), 0)[:-4]
        parts += head, crc32(head, salt).to_bytes(4, "little"), entry.data, entry.checksum
    (folder / FILE_NAME).write_bytes(b"".join(parts))


def look_at(folder: Path, *, go_on: bool = True) -> int | JournalError:
    """Open a journal that may be damaged: whole entries from the start, or refused by name.

    Args:
        folder: Folder of a run in which `STORY` was written.
        go_on: Whether to continue the recovered journal, and to check the result, too.

    Returns:
        How many entries were recovered, or why it was refused.
    """
    before = contents(folder)
    try:
        found = read(folder)
    except JournalError as error:
        refusal = error
    else:
        assert contents(folder) == before
        assert read_entries(str(folder)) == found
        return count_entries(folder, found, go_on)
    assert_refused(refusal, folder, before)
    with pytest.raises(type(refusal)):
        read_entries(str(folder))
    return refusal


def count_entries(folder: Path, found: list[bytes], go_on: bool) -> int:
    count = next((n for n in range(len(STORY) + 1) if found == STORY[:n]), None)
    assert count is not None, f"a wrong state: {found}"
    if go_on:
        again = Journal.open(str(folder), IDENTITY)
        again.write(b"resumed")
        again.close()
        assert read(folder) == [*found, b"resumed"]
    return count


def assert_refused(error: Exception, folder: Path, before: dict[str, bytes]) -> None:
    """Fail if a refusal does not name the run in one line, or if it has changed anything."""
    assert str(folder) in str(error)
    assert "\n" not in str(error)
    assert contents(folder) == before


def each_damaged(original: Path, changes: Iterator[Callable[[bytes], bytes]]) -> Iterator[int | JournalError]:
    """Look at copies of a journal, each of which is changed in another way."""
    kept = (original / FILE_NAME).read_bytes()
    copy = original.with_name("copy")
    for number, change in enumerate(changes):
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        (copy / FILE_NAME).write_bytes(change(kept))
        yield look_at(copy, go_on=number % 8 == 0)


def cut_at(size: int) -> Callable[[bytes], bytes]:
    return lambda data: data[:size]


def flip(bit: int) -> Callable[[bytes], bytes]:
    def change(data: bytes) -> bytes:
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        return bytes(changed)

    return change


def refusal_of(folder: Path, identity: str = IDENTITY) -> JournalError:
    """Return the error with which a journal is refused."""
    before = contents(folder)
    with pytest.raises(JournalError) as caught:
        Journal.open(str(folder), identity)
    assert_refused(caught.value, folder, before)
    return caught.value


class Weak:
    """Stands for a hash object."""

    def __init__(self, digest: bytes) -> None:
        self._digest = digest

    def digest(self) -> bytes:
        return self._digest


def weaken(monkeypatch: pytest.MonkeyPatch, checksum: Callable[[bytes], bytes]) -> None:
    """Let journals be written and read with another checksum."""
    for module in (journal, journal_format):
        monkeypatch.setattr(module, "blake2b", lambda data, digest_size: Weak(checksum(data)))
