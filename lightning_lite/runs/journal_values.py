"""Big values in files of their own next to the journal, read only when they are needed.

A file is named by the checksum of its content. So an entry that is written again refers to the same file, and
equal values share one.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Container
from contextlib import suppress
from errno import EINVAL, ELOOP, ENOENT, ENOTDIR
from hashlib import blake2b
from typing import Self

from lightning_lite.errors import JournalCorrupt, JournalError
from lightning_lite.regular_files import (
    ACCESS_ADVICE,
    flush_folder,
    kind_of,
    open_folder,
    open_regular,
)
from lightning_lite.trusted_roots import check_own_file, own_file_advice

#: Size in bytes above which a value gets a file of its own: a compaction of the journal does not copy it.
INLINE_LIMIT = 64 * 1024

_DIGEST_SIZE = 16
_REFERENCE = struct.Struct(f"<Q{_DIGEST_SIZE}s")
_SUFFIX = ".bin"


class JournalValue:
    """A value in a file.

    Attributes:
        path: Absolute path of the file.
        size: Size of the value in bytes.
    """

    __slots__ = ("_digest", "_folder", "size")

    def __init__(self, folder: str, size: int, digest: bytes) -> None:
        self._folder = folder
        self.size = size
        self._digest = digest

    @property
    def path(self) -> str:  # noqa: D102 - see the attributes of the class
        return os.path.join(self._folder, "values", self.name)

    @property
    def name(self) -> str:
        """Name of the file in its folder."""
        return f"{self._digest.hex()}{_SUFFIX}"

    @classmethod
    def write(cls, folder: str, data: bytes, *, durable: bool) -> Self:
        """Write `data` atomically; the entry that refers to it is written after it.

        Args:
            folder: Folder of the run.
            data: The value.
            durable: Whether the value must survive the loss of power.

        Raises:
            OSError: The file can't be written; `filename` of the error is its absolute path, or that of its
                folder if that is the reason.
        """
        value = cls(folder, len(data), _digest(data))
        try:
            value._write(data, durable=durable)
        except OSError as error:
            if error.filename is None or not os.path.isabs(error.filename):  # a write knows no name
                error.filename, error.filename2 = value.path, None
            raise
        return value

    def _write(self, data: bytes, *, durable: bool) -> None:
        values = os.path.dirname(self.path)
        try:
            values_fd = open_folder(values)
        except FileNotFoundError:
            os.mkdir(values, 0o700)
            if durable:
                flush_folder(self._folder)
            values_fd = open_folder(values)
        new = f"{self.name}.new"
        try:
            with suppress(FileNotFoundError):  # of a process that died
                os.unlink(new, dir_fd=values_fd)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(new, flags, 0o600, dir_fd=values_fd), "wb", buffering=0) as file:
                rest = memoryview(data)
                while rest:
                    rest = rest[file.write(rest) :]
                if durable:
                    os.fsync(file.fileno())
            os.replace(new, self.name, src_dir_fd=values_fd, dst_dir_fd=values_fd)
            if durable:
                os.fsync(values_fd)
        except OSError:
            with suppress(OSError):  # on a full disk, a part of it takes space
                os.unlink(new, dir_fd=values_fd)
            raise
        finally:
            os.close(values_fd)

    @classmethod
    def from_reference(cls, folder: str, reference: bytes) -> Self:
        """Return the value that an entry refers to.

        Its file may be gone, because a later entry may say that the value is not needed any more.

        Raises:
            JournalCorrupt: It is not a reference.
        """
        if len(reference) != _REFERENCE.size:
            raise _corrupt(folder, "the entry does not refer to a file")
        return cls(folder, *_REFERENCE.unpack(reference))

    def check(self) -> None:
        """Check that its file is there and has its size; `load` also checks the content.

        Raises:
            JournalCorrupt: There is no such file of that size.
            JournalError: Its status can't be read.
        """
        try:
            found = os.lstat(self.path)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if not stat.S_ISREG(found.st_mode):
            raise _corrupt(self.path, f"it is {kind_of(found.st_mode)}, not a file of {self.size} bytes")
        if found.st_size != self.size:
            raise _corrupt(self.path, f"it is not a file of {self.size} bytes")

    @property
    def reference(self) -> bytes:
        """Size and checksum of the value, as the entry holds them."""
        return _REFERENCE.pack(self.size, self._digest)

    def load(self) -> bytes:
        """Return the value.

        Raises:
            JournalCorrupt: The file is missing, or its content has changed.
            JournalError: It can't be read, or another user may have written it.
        """
        try:
            with open(open_regular(self.path), "rb") as file:
                found = os.fstat(file.fileno())
                if reason := check_own_file(found, self.path):
                    raise JournalError(
                        f"the value {self.path!r} in the journal is not read: {reason}; "
                        f"{own_file_advice(found, self.path)}, or start a new run",
                        file=self.path,
                    )
                data = file.read(self.size + 1)
        except OSError as error:
            raise _unreadable(self.path, error) from None
        if len(data) != self.size or _digest(data) != self._digest:
            raise _corrupt(self.path, "its checksum is wrong")
        return data


def remove_unneeded(folder: str, needed: Container[str]) -> None:
    """Remove the files of values that no call refers to.

    Args:
        folder: Folder of the run.
        needed: Names of the files to keep.

    Raises:
        OSError: The folder can't be read, or a file can't be removed.
    """
    try:
        values_fd = open_folder(os.path.join(folder, "values"))
    except FileNotFoundError:
        return
    try:
        for name in os.listdir(values_fd):
            if name.endswith((_SUFFIX, f"{_SUFFIX}.new")) and name not in needed:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=values_fd)
    finally:
        os.close(values_fd)


def _digest(data: bytes) -> bytes:
    return blake2b(data, digest_size=_DIGEST_SIZE).digest()


def _unreadable(path: str, error: OSError) -> JournalError:
    """Return the error for a value that can't be read: only one that is missing or replaced is damaged."""
    what = error.strerror or str(error)
    if error.errno in (ENOENT, ENOTDIR, EINVAL, ELOOP):
        return _corrupt(path, what)
    advice = f"; {ACCESS_ADVICE}" if isinstance(error, PermissionError) else ""
    return JournalError(f"the value {path!r} in the journal can't be read: {what}{advice}", file=path)


def _corrupt(path: str, what: str) -> JournalCorrupt:
    return JournalCorrupt(
        f"the value {path!r} in the journal is damaged: {what}; "
        "start a new run, or restore the file from a copy",
        file=path,
        sequence=None,
        what=what,
    )
