"""Big values in files of their own next to the journal, read only when they are needed."""

from __future__ import annotations

import os
import stat
import struct
from hashlib import blake2b
from typing import Self

from lightning_lite.errors import JournalCorrupt

#: Size in bytes above which a value gets a file of its own: a file is then cheaper than many database pages.
INLINE_LIMIT = 64 * 1024

_DIGEST_SIZE = 16
_REFERENCE = struct.Struct(f"<Q{_DIGEST_SIZE}s")


class ValueFile:
    """The value of one record, in a file.

    Attributes:
        path: Absolute path of the file.
        sequence: Number of the record that refers to it.
        size: Size of the value in bytes.
    """

    __slots__ = ("_digest", "path", "sequence", "size")

    def __init__(self, folder: str, sequence: int, size: int, digest: bytes) -> None:
        self.path = os.path.join(folder, "values", f"{sequence}.bin")
        self.sequence = sequence
        self.size = size
        self._digest = digest

    @classmethod
    def write(cls, folder: str, sequence: int, data: bytes, *, durable: bool) -> Self:
        """Write `data` atomically; the record that refers to it is written after it.

        Args:
            folder: Folder of the run.
            sequence: Number of the record; a file that an interrupted attempt left is replaced.
            data: The value.
            durable: Whether the value must survive the loss of power.

        Raises:
            OSError: The file can't be written.
        """
        value = cls(folder, sequence, len(data), _digest(data))
        values = os.path.dirname(value.path)
        if not os.path.isdir(values):
            os.mkdir(values, 0o700)
            if durable:
                flush_folder(folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(f"{value.path}.new", flags, 0o600), "wb", buffering=0) as file:
            rest = memoryview(data)
            while rest:
                rest = rest[file.write(rest) :]
            if durable:
                os.fsync(file.fileno())
        os.replace(f"{value.path}.new", value.path)
        if durable:
            flush_folder(values)
        return value

    @classmethod
    def from_reference(cls, folder: str, sequence: int, reference: bytes) -> Self:
        """Return the value that a record refers to, after a check of the size of its file.

        Raises:
            JournalCorrupt: There is no such file of that size.
        """
        if len(reference) != _REFERENCE.size:
            raise _corrupt(folder, sequence, "the record does not refer to a file")
        value = cls(folder, sequence, *_REFERENCE.unpack(reference))
        try:
            found = os.lstat(value.path)
        except OSError as error:
            raise _corrupt(value.path, sequence, os.strerror(error.errno or 0)) from None
        if not stat.S_ISREG(found.st_mode) or found.st_size != value.size:
            raise _corrupt(value.path, sequence, f"it is not a file of {value.size} bytes")
        return value

    @property
    def reference(self) -> bytes:
        """Size and checksum of the value, as the record holds them."""
        return _REFERENCE.pack(self.size, self._digest)

    def load(self) -> bytes:
        """Return the value.

        Raises:
            JournalCorrupt: The file is missing, or its content has changed.
        """
        try:
            with open(
                os.open(self.path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC), "rb"
            ) as file:
                data = file.read(self.size + 1)
        except OSError as error:
            raise _corrupt(self.path, self.sequence, os.strerror(error.errno or 0)) from None
        if len(data) != self.size or _digest(data) != self._digest:
            raise _corrupt(self.path, self.sequence, "its checksum is wrong")
        return data


def remove_unnamed(folder: str, last: int) -> None:
    """Remove the values of records after the `last` one, which were never committed."""
    values = os.path.join(folder, "values")
    for name in os.listdir(values) if os.path.isdir(values) else ():
        number, _, ending = name.partition(".")
        if ending == "bin.new" or (ending == "bin" and number.isdecimal() and int(number) > last):
            os.unlink(os.path.join(values, name))


def flush_folder(path: str) -> None:
    """Flush the entries of a folder to the disk, so that they survive the loss of power."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_SIZE).digest()


def _corrupt(path: str, sequence: int, what: str) -> JournalCorrupt:
    return JournalCorrupt(
        f"the value {path!r} of record {sequence} in the journal is damaged: {what}; "
        "start a new run, or restore the file from a copy",
        file=path,
        sequence=sequence,
        what=what,
    )
