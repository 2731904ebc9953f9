"""Copies the bytes of one file inside the kernel.

Small files are read and written in one piece. Big files share their data with the source where the file
system supports it (reflink); else the kernel copies them with `copy_file_range` (on some network file
systems the server does), else with `sendfile`, else with `read` and `write`. Holes stay holes.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator

from lightning_lite.storage.base import OnProgress
from lightning_lite.storage.errors import DriveSourceChanged, shown
from lightning_lite.storage.fs import syscalls

#: Size in bytes up to which `read` and `write` are faster than every other way.
SMALL = 64 * 1024

#: Bytes per system call: between two calls, progress is reported and Python handles signals.
PIECE = 32 * 1024 * 1024

#: Bytes in memory when the file is copied with `read` and `write`.
BUFFER = 1024 * 1024

#: Size in bytes from which the free space of the disk is checked before the copy.
CHECK_SPACE_FROM = 64 * 1024 * 1024

#: Errors of `sendfile` and `copy_file_range` for files that they do not support, such as append-only ones.
_REFUSALS = syscalls.UNKNOWN | {errno.EBADF, errno.EPERM}


def copy_bytes(source: int, target: int, before: os.stat_result, name: str, on_progress: OnProgress) -> None:
    """Copy an open file into an empty one.

    Args:
        source: Descriptor, at position 0.
        target: Descriptor of an empty file.
        before: Status of the source when it was opened.
        name: Name of the source for errors.
        on_progress: Called with the number of bytes after each piece.

    Raises:
        DriveSourceChanged: The source was written during the copy.
    """
    size = before.st_size
    if size <= SMALL:
        data = syscalls.read(source, size + 1)
        if len(data) != size:
            raise _changed(name)
        written = syscalls.write(target, data)
        if written != size:
            _write_all(target, data[written:])  # raises the error that made the first write short
        on_progress(size)
    else:
        _copy_big(source, target, before, name, on_progress)


def stream(source: int, target: int) -> None:
    """Write the rest of an open file, from its current position, to another descriptor.

    Args:
        source: Descriptor of a regular file.
        target: Descriptor of a file, a pipe, a socket or a terminal.

    Raises:
        BrokenPipeError: The reader closed the pipe.
    """
    try:
        while syscalls.sendfile is not None and syscalls.sendfile(target, source, None, PIECE):
            pass
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
    while data := syscalls.read(source, BUFFER):  # empty if the kernel has sent everything
        rest = memoryview(data)
        while rest:
            rest = rest[syscalls.write(target, rest) :]


def _copy_big(source: int, target: int, before: os.stat_result, name: str, on_progress: OnProgress) -> None:
    size = before.st_size
    if before.st_blocks * 512 >= CHECK_SPACE_FROM:
        _check_space(target, before.st_blocks * 512)
    if syscalls.clone(source, target):
        on_progress(size)
    else:
        for start, end in _data(source, before):
            _copy_range(source, target, start, end, on_progress)
        syscalls.ftruncate(target, size)
    after = syscalls.fstat(source)
    if (after.st_size, after.st_mtime_ns) != (size, before.st_mtime_ns):
        raise _changed(name)


def _changed(name: str) -> DriveSourceChanged:
    return DriveSourceChanged(
        f"{shown(name)} changed while it was copied; try again when no process writes to it."
    )


def _check_space(target: int, size: int) -> None:
    disk = os.fstatvfs(target)
    if disk.f_bavail * disk.f_frsize < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _data(source: int, info: os.stat_result) -> Iterator[tuple[int, int]]:
    """Yield the ranges of a file that are not holes."""
    size = info.st_size
    if info.st_blocks * 512 >= size or not hasattr(os, "SEEK_DATA"):
        yield 0, size
        return
    end = 0
    while end < size:
        try:
            start = syscalls.lseek(source, end, os.SEEK_DATA)
        except OSError as error:
            if error.errno == errno.ENXIO:  # the rest is a hole
                return
            raise
        end = syscalls.lseek(source, start, os.SEEK_HOLE)
        yield start, end


def _copy_range(source: int, target: int, start: int, end: int, on_progress: OnProgress) -> None:
    syscalls.lseek(source, start, syscalls.SEEK_SET)
    syscalls.lseek(target, start, syscalls.SEEK_SET)
    for way in (_by_range, _by_pipe, _by_hand):
        while start < end:
            try:
                count = way(source, target, min(end - start, PIECE))
            except OSError as error:
                if way is _by_hand or error.errno not in _REFUSALS:
                    raise
                break
            if count == 0:
                return  # the file became shorter; the caller raises DriveSourceChanged
            start += count
            on_progress(count)


def _by_range(source: int, target: int, count: int) -> int:
    return (
        syscalls.copy_file_range(source, target, count)
        if syscalls.copy_file_range
        else _by_pipe(source, target, count)
    )


def _by_pipe(source: int, target: int, count: int) -> int:
    return (
        syscalls.sendfile(target, source, None, count)
        if syscalls.sendfile
        else _by_hand(source, target, count)
    )


def _by_hand(source: int, target: int, count: int) -> int:
    data = syscalls.read(source, min(count, BUFFER))
    _write_all(target, data)
    return len(data)


def _write_all(target: int, data: bytes) -> None:
    while data:
        data = data[syscalls.write(target, data) :]
