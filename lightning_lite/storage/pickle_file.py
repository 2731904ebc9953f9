"""One object in one file: its pickle, followed by its big buffers.

    magic │ number of sections │ size, ... ║ pickle ║ buffer ║ buffer ║ ...     ║ = next multiple of 64 bytes

Buffers are written without a copy in memory. To read an object, the file is mapped: the system loads a page
of a NumPy array when it is accessed and may drop it again; changes go to private copies of pages, not to the
file.
"""

from __future__ import annotations

import io
import mmap
import pickle
import struct
from collections.abc import Callable, Iterator, Sequence
from pickle import PickleBuffer
from types import FunctionType
from typing import Any

from lightning_lite.storage.errors import DriveError, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.values.array_views import reduce_array
from lightning_lite.values.pickling import is_importable, pack, unpack
from lightning_lite.values.transferable import check_travels

_MAGIC = b"LITEOBJ1"
_ALIGNMENT = 64

#: Size in bytes from which a buffer is a section of its own.
_BIG = 4096


def dump(value: Any, path: str) -> None:
    """Write `value` into a new file.

    Raises:
        PackingError: It cannot be pickled; the message has the reason.
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


def load(path: str, check: Callable[[int], None] | None = None) -> Any:
    """Return the object in a file; its big buffers are writable and are loaded when they are accessed.

    Args:
        path: The file.
        check: Called with its descriptor before anything is unpickled; refuses it with an error.

    Raises:
        DriveError: The file is damaged, or has another format.
    """
    fd = syscalls.open_file(path, syscalls.READ)
    try:
        if check is not None:
            check(fd)
        size = syscalls.fstat(fd).st_size
        if size < len(_MAGIC):
            raise _damaged(path)
        # MAP_PRIVATE: a write changes a copy of the page. MAP_NORESERVE: most pages are never written.
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
    return pickle.loads(pickled, buffers=buffers)


class _Pickler(pickle.Pickler):
    """Pickles importable classes and functions by reference, and definitions of the script by value."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, type | FunctionType):
            return NotImplemented if is_importable(obj.__module__ or "builtins") else (unpack, (pack(obj),))
        check_travels(obj, None)
        return reduce_array(obj)


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
        return file.getbuffer(), buffers
    except Exception:  # noqa: BLE001 - pack() tries it by value, and names the reason if it fails, too
        pass
    return pack(value), []  # not in the `except` block: its error would have two reasons


def _places(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the begin and the end of each section."""
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
    return DriveError(f"{shown(path)} is damaged, or is not the file of a Payload; make it again.")
