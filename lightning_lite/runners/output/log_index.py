"""Times of the lines of a log, in an index file next to it, so that the log stays as it was printed.

    0 1763794522.113        time of the output that begins at byte 0 of the log
    5120 1763794524.870     time of the output that begins at byte 5120

The log `root.train.log` has the index `root.train.times`.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from time import time

from lightning_lite.regular_files import open_regular

#: Output within this many seconds gets one entry. This limits the index of a work that prints all the time.
_RESOLUTION = 0.001

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND

#: Maximum of bytes of a line; this package writes shorter ones.
_LONGEST_LINE = 100


class TimesWriter:
    """Writes the index of one log.

    Args:
        log: Path of the log.
        clock: Returns the seconds since 1970.
    """

    def __init__(self, log: str, clock: Callable[[], float] = time) -> None:
        self._path = times_path(log)
        self._clock = clock
        self._fd: int | None = None
        self._last = 0.0

    def note(self, place: int) -> None:
        """Note that the output at byte `place` of the log has arrived now.

        Raises:
            OSError: The index can't be written.
        """
        now = self._clock()
        if abs(now - self._last) < _RESOLUTION:
            return
        if self._fd is None:
            self._fd = open_regular(self._path, _APPEND)
        os.write(self._fd, b"%d %.3f\n" % (place, now))
        self._last = now

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class LogTimes:
    """The index of one log, as it was when it was read.

    Args:
        log: Path of the log.
    """

    def __init__(self, log: str) -> None:
        self._path = times_path(log)
        self._size = 0
        self._places: list[int] = []
        self._times: list[float] = []
        self.refresh()

    def refresh(self) -> None:
        """Read what has been added; nothing if there is no index, or something else in its place."""
        try:
            with open(open_regular(self._path), "rb") as file:
                file.seek(self._size)
                while (line := file.readline(_LONGEST_LINE)).endswith(b"\n"):
                    self._size += len(line)
                    self._add(line)
        except OSError:
            return

    def _add(self, line: bytes) -> None:
        place, _, moment = line.partition(b" ")
        try:
            entry = int(place), float(moment)
        except ValueError:
            return  # another program has written this line
        self._places.append(entry[0])
        self._times.append(entry[1])

    def at(self, place: int) -> float | None:
        """Return when the byte at `place` arrived, in seconds since 1970; `None` if that is unknown."""
        index = bisect_right(self._places, place)
        return self._times[index - 1] if index else None

    def place_after(self, moment: float) -> int | None:
        """Return the first byte that arrived at `moment` or later; `None` if there is none.

        Without an index that is unknown, and the result is 0.
        """
        if not self._times:
            return 0
        for index, time_ in enumerate(self._times):
            if time_ >= moment:
                return self._places[index]
        return None


def times_path(log: str) -> str:
    """Return the path of the index of a log."""
    return f"{os.path.splitext(log)[0]}.times"
