"""Times of the lines of a log, in an index file next to it, so that the log stays as it was printed.

    0 1763794522.113482     time of the output that begins at byte 0 of the log
    5120 1763794524.870015  time of the output that begins at byte 5120

The log `root.train.log` has the index `root.train.times`.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable
from functools import partial
from io import FileIO
from time import time
from typing import NamedTuple

from lightning_lite.regular_files import open_regular

#: Output within this many seconds gets one entry. This limits the index of a work that prints all the time.
#: If another log of this process has got output in between, it gets two: the times put the lines of all logs
#: in order. The output of each call gets its own entry, too, so that it differs from the output of others.
RESOLUTION = 0.001

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND

#: Maximum of bytes of a line; this package writes shorter ones.
_LONGEST_LINE = 100

#: Bytes that are read to find one entry in the middle of an index.
_PROBE = 2 * _LONGEST_LINE

#: Below this size in bytes, the search reads all entries in order.
_BLOCK = 4096


class _Turns:
    """Counts how often output has come to another log of this process than the output before.

    A race between two threads can only join outputs that came at the same moment.
    """

    def __init__(self) -> None:
        self._log = ""
        self._count = 0

    def take(self, log: str) -> int:
        """Return the number of the turn in which output comes to `log` now.

        Args:
            log: Path of the log.
        """
        if self._log != log:
            self._log = log
            self._count += 1
        return self._count


_turns = _Turns()
take_turn = _turns.take


class TimesWriter:
    """Writes the index of one log.

    Args:
        log: Path of the log.
        clock: Returns the seconds since 1970.
        turn: Returns the result of `take_turn` when the output came; by default, it comes now.
    """

    def __init__(
        self, log: str, clock: Callable[[], float] = time, turn: Callable[[], int] | None = None
    ) -> None:
        self._path = times_path(log)
        self._clock = clock
        self._turn = turn if turn is not None else partial(take_turn, log)
        self._fd: int | None = None
        self._last = 0.0
        self._last_turn = 0

    def note(self, place: int) -> None:
        """Note that the output at byte `place` of the log has arrived now.

        Raises:
            OSError: The index can't be written.
        """
        now, turn = self._clock(), self._turn()
        if turn == self._last_turn and abs(now - self._last) < RESOLUTION:
            return
        if self._fd is None:
            self._fd = open_regular(self._path, _APPEND)
        os.write(self._fd, b"%d %.6f\n" % (place, now))
        self._last, self._last_turn = now, turn

    def separate(self) -> None:
        """Note the time of the next output even if it comes at once."""
        self._last_turn = 0  # the turns begin with 1

    def close(self) -> None:
        """Close the file."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


class LogTimes:
    """The index of one log. It is searched in its file, so that one of any size takes no time to open.

    Args:
        log: Path of the log.
    """

    def __init__(self, log: str) -> None:
        self._path = times_path(log)
        self._block = _Block(0, 0, [], [], False)

    def at(self, place: int) -> float | None:
        """Return when the byte at `place` arrived, in seconds since 1970; `None` if that is unknown.

        That is so without an index, and with something else than a file in its place.
        """
        if not self._block.covers(place):
            try:
                self._block = self._read_block(place)
            except OSError:
                return None
        index = bisect_right(self._block.places, place)
        return self._block.times[index - 1] if index else None

    def refresh(self) -> None:
        """Notice lines that were added since the last question."""
        if self._block.is_last:
            self._block = _Block(0, 0, [], [], False)

    def place_after(self, moment: float) -> int | None:
        """Return the first byte that arrived at `moment` or later; `None` if there is none.

        Without an index that is unknown, and the result is 0. If the clock was set back while the log was
        written, there may be several such places, and the result is one of them.
        """
        try:
            with open(open_regular(self._path), "rb", buffering=0) as file:
                size = _size_of(file)
                block = _parse(file, _find(file, size, lambda _, time_: time_ < moment), size)
        except OSError:
            return 0
        later = [place for place, time_ in zip(block.places, block.times, strict=True) if time_ >= moment]
        if later:
            return later[0]
        return None if block.places else 0

    def _read_block(self, place: int) -> _Block:
        """Return the entries from the one of `place` on.

        Raises:
            OSError: The index can't be read.
        """
        with open(open_regular(self._path), "rb", buffering=0) as file:
            size = _size_of(file)
            last = self._block.places[-1:]
            if last and last[0] <= place and self._block.end < size:  # mostly, a log is read line by line
                block = _parse(file, self._block.last_start, size)
                if block.covers(place):
                    return block
            return _parse(file, _find(file, size, lambda found, _: found <= place), size)


class _Block(NamedTuple):
    """Entries of an index that are next to each other.

    Attributes:
        last_start: Offset of the last entry in the file of the index.
        end: Offset after it.
        places: Their places in the log.
        times: Their times.
        is_last: Whether there was no later entry.
    """

    last_start: int
    end: int
    places: list[int]
    times: list[float]
    is_last: bool

    def covers(self, place: int) -> bool:
        """Return whether the entry of `place` is in this block."""
        places = self.places
        return bool(places) and places[0] <= place and (self.is_last or place < places[-1])


def _size_of(file: FileIO) -> int:
    return os.fstat(file.fileno()).st_size


def _find(file: FileIO, size: int, is_before: Callable[[int, float], bool]) -> int:
    """Return the offset of the last entry for which `is_before` is true, or one shortly before it.

    Args:
        file: The index.
        size: Its size.
        is_before: Gets the place and the time of an entry; false from some entry on.
    """
    low, high = 0, size
    while high - low > _BLOCK:
        middle = (low + high) // 2
        file.seek(middle)
        data = file.read(_PROBE)
        begin = data.find(b"\n") + 1
        line = data[begin : data.find(b"\n", begin) + 1]
        entry = _entry(line)
        if entry is not None and is_before(*entry):
            low = middle + begin
        else:
            high = middle  # another program may have written here, too
    return low


def _parse(file: FileIO, offset: int, size: int) -> _Block:
    """Return the entries from an offset on, at most `_BLOCK * 2` bytes."""
    file.seek(offset)
    data = file.read(_BLOCK * 2)
    is_last = offset + len(data) >= size
    data = data[: data.rfind(b"\n") + 1]
    places: list[int] = []
    times: list[float] = []
    last_start = end = offset
    for line in data.splitlines(keepends=True):
        entry = _entry(line)
        if entry is not None:
            places.append(entry[0])
            times.append(entry[1])
            last_start = end
        end += len(line)
    return _Block(last_start, end, places, times, is_last)


def _entry(line: bytes) -> tuple[int, float] | None:
    """Return place and time of a line; `None` if another program has written it."""
    place, _, moment = line.partition(b" ")
    try:
        return int(place), float(moment)
    except ValueError:
        return None


def times_path(log: str) -> str:
    """Return the path of the index of a log."""
    return f"{os.path.splitext(log)[0]}.times"
