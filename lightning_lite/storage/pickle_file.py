"""One object in one file: its pickle, followed by its big buffers.

    magic │ how many │ size, size, ... ║ pickle ║ buffer ║ buffer ║ ...      ║ = the next multiple of 64 bytes

Written without a copy in memory. Read by mapping the file: what a NumPy array needs is loaded when it is
looked at, the system may forget it again, and who writes to it changes pages of his own, not the file.
"""

from __future__ import annotations

import _pickle  # pickle itself would cost each child another 8 ms
import io
import mmap
import struct
from collections.abc import Iterator, Sequence
from pickle import PickleBuffer
from types import FunctionType
from typing import Any

from lightning_lite.storage.errors import DriveError, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.values.pickling import is_importable, pack, unpack

_MAGIC = b"LITEOBJ1"
_ALIGNMENT = 64

#: Bytes from which a buffer lies outside of the pickle.
_BIG = 4096


def dump(value: Any, path: str) -> None:
    """Write `value` into a new file.

    Raises:
        PackingError: It can't be pickled; the reason is in the message.
    """
    pickled, buffers = _pickled(value)
    sections = [memoryview(pickled), *(buffer.raw() for buffer in buffers)]
    sizes = [section.nbytes for section in sections]
    fd = syscalls.open_file(path, syscalls.CREATE, 0o600)
    try:
        _write(fd, _MAGIC + struct.pack(f"<{1 + len(sizes)}Q", len(sizes), *sizes))
        for (start, _), section in zip(_places(sizes), sections, strict=True):
            syscalls.lseek(fd, start, syscalls.SEEK_SET)
            _write(fd, section)
    finally:
        syscalls.close(fd)


def load(path: str) -> Any:
    """Return the object in a file; its big buffers are writable and stay in the file until they are used.

    Raises:
        DriveError: The file is damaged, or is another one.
    """
    fd = syscalls.open_file(path, syscalls.READ)
    try:
        size = syscalls.fstat(fd).st_size
        if size < len(_MAGIC):
            raise _damaged(path)
        # Private: writing changes a copy of the page. No reserve: most of it is never written.
        flags = mmap.MAP_PRIVATE | getattr(mmap, "MAP_NORESERVE", 0)
        whole = memoryview(mmap.mmap(fd, size, flags, mmap.PROT_READ | mmap.PROT_WRITE))
    finally:
        syscalls.close(fd)
    try:
        sizes = _read_sizes(whole)
        places = list(_places(sizes))
    except struct.error:
        raise _damaged(path) from None
    if places[-1][1] != size:
        raise _damaged(path)
    pickled, *buffers = (whole[start:end] for start, end in places)
    return _pickle.loads(pickled, buffers=buffers)


class _Pickler(_pickle.Pickler):
    """Pickles what it can name, and lets definitions of the user's script travel by value."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type | FunctionType) and not is_importable(obj.__module__ or "builtins"):
            return unpack, (pack(obj),)
        return NotImplemented


def _pickled(value: Any) -> tuple[bytes | memoryview, list[PickleBuffer]]:
    file = io.BytesIO()
    buffers: list[PickleBuffer] = []

    def is_small(buffer: PickleBuffer) -> bool:
        with buffer.raw() as raw:
            if raw.nbytes < _BIG:
                return True
        buffers.append(buffer)
        return False

    try:
        _Pickler(file, 5, buffer_callback=is_small).dump(value)
    except Exception:  # noqa: BLE001 - whatever pickle can't do is tried by value, which names the reason
        return pack(value), []
    return file.getbuffer(), buffers


def _places(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield where each section begins and ends."""
    end = len(_MAGIC) + 8 * (1 + len(sizes))
    for size in sizes:
        start = -(-end // _ALIGNMENT) * _ALIGNMENT
        end = start + size
        yield start, end


def _read_sizes(whole: memoryview) -> tuple[int, ...]:
    if whole[: len(_MAGIC)] != _MAGIC:
        raise struct.error
    (count,) = struct.unpack_from("<Q", whole, len(_MAGIC))
    return struct.unpack_from(f"<{count}Q", whole, len(_MAGIC) + 8)


def _write(fd: int, data: bytes | memoryview) -> None:
    while data:
        data = data[syscalls.write(fd, data) :]


def _damaged(path: str) -> DriveError:
    return DriveError(f"{shown(path)} is damaged, or is no object that was put there; make it again.")
