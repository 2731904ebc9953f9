"""The records of a journal, and the chain of checksums that ties each one to all before it."""

from __future__ import annotations

import struct
from _blake2 import blake2b  # hashlib would load OpenSSL
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from lightning_lite.runs.values import ValueFile

CHECKSUM_SIZE = 16
_HEAD = struct.Struct("<QdBBIIIQ")  # number, time, in a file, ends; bytes of kind, component, key and data


class Record(NamedTuple):
    """One thing that happened in a run. What it means is for the writer to know: here it is text and bytes.

    Attributes:
        kind: What happened, one short word.
        component: Full name of the component to which it happened.
        key: Key of the call, or "".
        data: The rest, packed. In a record that was read from a journal, a big one is a `ValueFile`.
        time: When it happened, in seconds since 1970.

    Example:
        >>> Record("asked", "root.train", "9f3a", b"arguments").load()
        b'arguments'
    """

    kind: str
    component: str
    key: str
    data: bytes | ValueFile
    time: float = 0.0

    def load(self) -> bytes:
        """Return the data, wherever it is.

        Raises:
            JournalCorrupt: It is in a file, and the file is damaged.
        """
        return self.data.load() if isinstance(self.data, ValueFile) else self.data


class Row(NamedTuple):
    """A record as it stands in the journal.

    Attributes:
        sequence: Its number, from 1, without a gap.
        kind: As in `Record`.
        component: As in `Record`.
        key: As in `Record`.
        data: The data, or the reference to a file.
        time: As in `Record`.
        in_file: 1 if `data` is a reference, else 0.
        ends: 1 if it is the last record of its transaction, else 0.
        checksum: Of all these and the checksum of the row before.
    """

    sequence: int
    kind: str
    component: str
    key: str
    data: bytes
    time: float
    in_file: int
    ends: int
    checksum: bytes


def frame(
    sequence: int, kind: str, component: str, key: str, data: bytes, time: float, in_file: int, ends: int
) -> bytes:
    """Return a row without its checksum as bytes; lengths are part of them, so no two rows give the same."""
    what, where, which = kind.encode(), component.encode(), key.encode()
    head = _HEAD.pack(sequence, time, in_file, ends, len(what), len(where), len(which), len(data))
    return b"".join((head, what, where, which, data))


def seal(previous: bytes, framed: bytes) -> bytes:
    """Return the checksum of a row; `previous` is that of the row before."""
    return blake2b(previous + framed, digest_size=CHECKSUM_SIZE).digest()


def write_frames(rows: Iterable[Row]) -> bytes:
    """Return the frames of rows, each followed by its checksum."""
    return b"".join(part for row in rows for part in (frame(*row[:-1]), row.checksum))


def read_frames(data: bytes) -> Iterator[Row]:
    """Yield the rows that `write_frames` wrote, up to the first that is not whole."""
    start = 0
    while start + _HEAD.size <= len(data):
        sequence, time, in_file, ends, *sizes = _HEAD.unpack_from(data, start)
        start += _HEAD.size
        if start + sum(sizes) + CHECKSUM_SIZE > len(data):
            return
        parts = []
        for size in (*sizes, CHECKSUM_SIZE):
            parts.append(data[start : start + size])
            start += size
        try:
            kind, component, key = (part.decode() for part in parts[:3])
        except UnicodeDecodeError:
            return
        yield Row(sequence, kind, component, key, parts[3], time, in_file, ends, parts[4])


def seal_head(version: int, identity: bytes, nonce: bytes) -> bytes:
    """Return the checksum with which a chain begins: journals of two runs have none in common."""
    return blake2b(
        b"".join((struct.pack("<II", version, len(identity)), identity, nonce)), digest_size=CHECKSUM_SIZE
    ).digest()
