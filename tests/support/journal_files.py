"""Where the entries of the file of a journal are."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from lightning_lite.runs.journal_format import CHECKSUM_SIZE, ENTRY_HEAD, MARK


def ends_of_entries(journal: Path) -> list[int]:
    """Return where each entry of a journal ends, in bytes, and before that where the first one begins."""
    data = journal.read_bytes()
    found = [data.index(MARK)]
    while found[-1] < len(data):
        _, _, size, _ = ENTRY_HEAD.unpack_from(data, found[-1])
        found.append(found[-1] + ENTRY_HEAD.size + size + CHECKSUM_SIZE)
    return found


def cuts(journal: Path) -> Iterator[int]:
    """Yield sizes to cut a journal to, in ascending order: at, after and in the middle of each entry."""
    ends = ends_of_entries(journal)
    for begin, end in pairwise(ends):
        yield from (begin, begin + 1, (begin + end) // 2, end - 1)


def end_of_rewrite(journal: Path) -> int:
    """Return where the part of a journal ends that its last rewrite has written: at the first mark."""
    ends = ends_of_entries(journal)
    sizes = (end - begin for begin, end in pairwise(ends))
    return ends[1 + list(sizes).index(ENTRY_HEAD.size + CHECKSUM_SIZE)]
