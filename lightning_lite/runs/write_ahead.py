"""Records on their way into the database: safe from the death of the process, at a tenth of the cost.

A commit of SQLite locks, writes pages and unlocks: twenty microseconds, which each call would wait for. So
records are first written behind one another into a file beside the database (`journal.db-ahead`), and go
into the database while the works do theirs. Who opens the journal of a process that died in between takes
over what the file holds beyond the database; the chain of checksums tells how far it is whole.
"""

from __future__ import annotations

import errno
import os
from contextlib import suppress

from lightning_lite.runs.records import Row, frame, read_frames, seal

#: Size in bytes from which the file begins anew, when all in it is in the database.
LIMIT = 256 * 1024

_MODE = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Ahead:
    """The file of records ahead of the database; made with the first one.

    Args:
        path: Absolute path of the database.
    """

    def __init__(self, path: str) -> None:
        self._path = f"{path}-ahead"
        self._fd = -1

    def write(self, data: bytes) -> None:
        """Write rows behind those before, all or none.

        Args:
            data: Their frames, each followed by its checksum.

        Raises:
            OSError: They can't be written.
        """
        if self._fd < 0:
            self._fd = os.open(self._path, _MODE, 0o600)
        written = os.write(self._fd, data)
        if written < len(data):
            os.ftruncate(self._fd, self._size() - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def let_go(self) -> None:
        """Hear that all rows are in the database."""
        if self._fd >= 0 and self._size() > LIMIT:
            os.ftruncate(self._fd, 0)

    def _size(self) -> int:
        # Asked, not reckoned: Ctrl-C may come just behind a write.
        return os.fstat(self._fd).st_size

    def read(self, sequence: int, checksum: bytes) -> list[Row]:
        """Return the rows that follow on a row of the database, up to the last whole transaction.

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
            if num_before > len(rows) or row.checksum != seal(before, frame(*row[:-1])):
                break
            # One that comes again was written by a try that was interrupted, and replaced.
            rows[num_before:] = [row]
        while rows and not rows[-1].ends:
            rows.pop()
        return rows

    def remove(self) -> None:
        """Remove the file: all that it holds is in the database."""
        self.close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)

    def close(self) -> None:
        """Leave the file as it is."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)
