"""SQLite databases: a file of one is incomplete without the log next to it.

A process that uses the database, or died while it did, leaves changes in `<name>-wal`, or the old pages of an
unfinished change in `<name>-journal`. SQLite applies such a file to any database of that name.
"""

from __future__ import annotations

from lightning_lite.storage.fs import syscalls

#: Each page of a database has a multiple of so many bytes.
PAGE = 512

_HEADER = b"SQLite format 3\0"
_SUFFIXES = ("-wal", "-journal")


def log_of(fd: int, path: str, dir_fd: int | None = None) -> str | None:
    """Return the path of the log that has content and belongs to a database, or `None`.

    Args:
        fd: Descriptor of a file whose size is a multiple of `PAGE`.
        path: Path at which the log is looked for.
        dir_fd: Open folder to which `path` is relative.
    """
    if syscalls.pread(fd, len(_HEADER), 0) != _HEADER:
        return None
    for suffix in _SUFFIXES:
        found = syscalls.stat_if_exists(f"{path}{suffix}", dir_fd)
        if found is not None and found.st_size and _has_content(f"{path}{suffix}", dir_fd):
            return f"{path}{suffix}"
    return None


def _has_content(path: str, dir_fd: int | None) -> bool:
    """Return whether a log begins with a header; SQLite may overwrite it with zeros to end the log."""
    try:
        fd = syscalls.open_file(path, syscalls.READ, dir_fd=dir_fd)
    except OSError:
        return True  # an unreadable log may hold changes
    try:
        return syscalls.pread(fd, 1, 0) not in (b"", b"\0")
    finally:
        syscalls.close(fd)
