"""The records of a journal, their form as bytes, and the chain of checksums over them."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from hashlib import blake2b
from typing import NamedTuple

from lightning_lite.runs.values import ValueFile

CHECKSUM_SIZE = 16
_HEAD = struct.Struct("<QdBBIIIQ")  # number, time, in a file, ends; bytes of kind, component, key and data


class Record(NamedTuple):
    """One record. The journal does not interpret it; `event_codec` does.

    Attributes:
        kind: What the record holds, one short word.
        component: Full name of the component, or "".
        key: Key of the call, or "".
        data: The content, as bytes. In a record that was read from a journal, big content is a `ValueFile`.
        time: Time in seconds since 1970.

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
        """Return the data; read it first if it is in a file.

        Raises:
            JournalCorrupt: The file of the data is damaged.
        """
        return self.data.load() if isinstance(self.data, ValueFile) else self.data


class Row(NamedTuple):
    """A record as the journal stores it.

    Attributes:
        sequence: Number of the record: 1, 2, 3 and so on.
        kind: As in `Record`.
        component: As in `Record`.
        key: As in `Record`.
        data: The data, or the reference to a file.
        time: As in `Record`.
        in_file: 1 if `data` is a reference, else 0.
        ends: 1 if it is the last record of its transaction, else 0.
        checksum: Checksum of all other fields and of the checksum of the row before.
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
    """Encode a row without its checksum. The lengths are encoded too, so different rows differ as bytes."""
    what, where, which = kind.encode(), component.encode(), key.encode()
    head = _HEAD.pack(sequence, time, in_file, ends, len(what), len(where), len(which), len(data))
    return b"".join((head, what, where, which, data))


def chain_checksum(previous: bytes, framed: bytes) -> bytes:
    """Return the checksum of a row; `previous` is that of the row before."""
    return blake2b(previous + framed, digest_size=CHECKSUM_SIZE).digest()


def write_frames(rows: Iterable[Row]) -> bytes:
    """Encode rows, each followed by its checksum."""
    return b"".join(part for row in rows for part in (frame(*row[:-1]), row.checksum))


def read_frames(data: bytes) -> Iterator[Row]:
    """Yield the rows that `write_frames` encoded, up to the first that is incomplete."""
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


def head_checksum(version: int, identity: bytes, nonce: bytes) -> bytes:
    """Return the first checksum of a chain; the nonce makes the chains of two runs differ."""
    return blake2b(
        b"".join((struct.pack("<II", version, len(identity)), identity, nonce)), digest_size=CHECKSUM_SIZE
    ).digest()
