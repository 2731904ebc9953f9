"""The records of a journal, and the chain of checksums that ties each one to all before it."""

from __future__ import annotations

import struct
from _blake2 import blake2b  # hashlib would load OpenSSL
from typing import NamedTuple

from lightning_lite.runs.values import ValueFile

CHECKSUM_SIZE = 16
_FRAME = struct.Struct("<QqqIIIQ")


class Record(NamedTuple):
    """One thing that happened in a run. What it means is for the writer to know: here it is text and bytes.

    Attributes:
        kind: What happened, one short word.
        component: Full name of the component to which it happened.
        key: Key of the call, or "".
        data: The rest, packed. In a record that was read from a journal, a big one is a `ValueFile`.

    Example:
        >>> Record("asked", "root.train", "9f3a", b"arguments").load()
        b'arguments'
    """

    kind: str
    component: str
    key: str
    data: bytes | ValueFile

    def load(self) -> bytes:
        """Return the data, wherever it is.

        Raises:
            JournalCorrupt: It is in a file, and the file is damaged.
        """
        return self.data.load() if isinstance(self.data, ValueFile) else self.data


class Row(NamedTuple):
    """A record as it stands in the database.

    Attributes:
        sequence: Its number, from 1, without a gap.
        kind: As in `Record`.
        component: As in `Record`.
        key: As in `Record`.
        data: The data, or the reference to a file.
        in_file: Whether `data` is a reference.
        ends: Whether it is the last record of its transaction.
        checksum: Of all these and the checksum of the row before.
    """

    sequence: int
    kind: str
    component: str
    key: str
    data: bytes
    in_file: bool
    ends: bool
    checksum: bytes


def seal(
    previous: bytes,
    sequence: int,
    kind: str,
    component: str,
    key: str,
    data: bytes,
    in_file: bool,
    ends: bool,
) -> bytes:
    """Return the checksum of a row; `previous` is that of the row before.

    Lengths are part of it, so that no two rows give the same bytes.
    """
    what, where, which = kind.encode(), component.encode(), key.encode()
    frame = _FRAME.pack(sequence, in_file, ends, len(what), len(where), len(which), len(data))
    sealed = b"".join((previous, frame, what, where, which, data))
    return blake2b(sealed, digest_size=CHECKSUM_SIZE).digest()


def seal_head(version: int, identity: bytes, nonce: bytes) -> bytes:
    """Return the checksum with which a chain begins: journals of two runs have none in common."""
    return blake2b(
        b"".join((struct.pack("<II", version, len(identity)), identity, nonce)), digest_size=CHECKSUM_SIZE
    ).digest()
