"""The write-ahead file of a journal: records survive the death of the process before the database has them.

A commit of SQLite locks, writes pages and unlocks: about 20 microseconds, and each call would wait for it. So
records are first appended to a file next to the database (`journal.db-ahead`), and copied into the database
while the works run. After a crash, `Journal.open` copies the records that the database does not have yet; the
chain of checksums shows up to which record the file is complete.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from lightning_lite.runs.records import Row, chain_checksum, frame, read_frames

#: Size in bytes above which the file is truncated, once the database has all its records.
LIMIT = 256 * 1024

_MODE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class WriteAheadFile:
    """The write-ahead file of one journal; the first `write` creates it.

    Args:
        path: Absolute path of the database.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}-ahead"
        self._fd = -1

    def write(self, data: bytes) -> None:
        """Append rows, all or none.

        Args:
            data: The frames of the rows, each followed by its checksum.

        Raises:
            OSError: The rows can't be written.
        """
        if self._fd < 0:
            self._fd = os.open(self._path, _MODE, 0o600)
        written = os.write(self._fd, data)
        if written < len(data):
            os.ftruncate(self._fd, self._size() - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def release_space(self) -> None:
        """Truncate a big file; only if the database has all its rows."""
        if self._fd >= 0 and self._size() > LIMIT:
            os.ftruncate(self._fd, 0)

    def _size(self) -> int:
        # Ask the system instead of counting: Ctrl-C may interrupt between a write and the count.
        return os.fstat(self._fd).st_size

    def read(self, sequence: int, checksum: bytes) -> list[Row]:
        """Return the rows that follow a row of the database, up to the last complete transaction.

        Args:
            sequence: Number of the last row of the database.
            checksum: Its checksum.

        Raises:
            OSError: The file can't be read.
        """
        rows: list[Row] = []
        try:
            with open(self._path, "rb") as file:
                data = file.read()
        except FileNotFoundError:
            return rows
        for row in read_frames(data):
            if row.sequence <= sequence:
                continue
            num_before = row.sequence - sequence - 1
            before = rows[num_before - 1].checksum if 0 < num_before <= len(rows) else checksum
            if num_before > len(rows) or row.checksum != chain_checksum(before, frame(*row[:-1])):
                break
            # The same number twice: the first write was interrupted, and the second replaces it.
            rows[num_before:] = [row]
        while rows and not rows[-1].ends:
            rows.pop()
        return rows

    def remove(self) -> None:
        """Remove the file; only if the database has all its rows."""
        self.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def close(self) -> None:
        """Close the file and leave its content unchanged."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
