"""The numbers in the state of a run over time: a side file, from which a page draws them.

    numbers.log     one line for each point: name of the attribute, time, value; separated by tabs

The journal keeps only the last value of an attribute. This file keeps at most 2,000 points of each number,
evenly over the time: with more, only the lowest and the highest of each span stay. It has at most 8 MiB and
the points of one write, so many attributes have fewer points each. It is written at most once a second, so a
process that is killed loses the points of its last second. No rule of the app depends on it: an incomplete
last line is ignored, and a file that can't be written is given up with a warning.

    for attribute, points in read_numbers("/root/runs/20261122-035501123-9f3ac2").items():
        print(attribute, points[-1])
"""

from __future__ import annotations

import logging
import os
from array import array
from collections.abc import Iterator
from contextlib import suppress
from errno import EFBIG, ENOSPC
from io import BufferedReader, FileIO
from math import isnan

from lightning_lite.regular_files import open_regular

#: Name of the file in the folder of a run.
NUMBERS_NAME = "numbers.log"

#: Points that are kept of one attribute.
MAX_POINTS = 2000

#: Number of attributes that have a history, and bytes in all their names, which each point repeats.
MAX_ATTRIBUTES = 1000
_MAX_NAMES = 128 * 1024

#: Seconds for which points stay in memory before they are written, and points of an attribute in one write.
INTERVAL = 1.0
_POINTS_PER_WRITE = 10

#: The file is written again without the points that were left out when it is larger than twice its size after
#: the last time, and the first number of bytes; or than the second one. Then it has at most half of that.
_ROOM = 1024 * 1024
_MAX_SIZE = 8 * 1024 * 1024

#: Points of each attribute that stay however many attributes there are: first, lowest, highest and last.
_MIN_POINTS = 4

#: Bytes of a line without the name: time and value with 17 digits, and separators.
_SIZE_OF_POINT = 45

#: Time in seconds since 1970, and value.
Point = tuple[float, float]

_log = logging.getLogger("lightning_lite")
_WRITE_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT

#: Maximum of bytes of a line. The file of another program may have no lines at all.
_LONGEST_LINE = 64 * 1024


class NumbersLog:
    """Writes the numbers of one run; only the process of its flow may do that.

    Inside this module, an array has the times and the values of points in turn. It takes 16 bytes a point; a
    list of tuples takes 120.

    Args:
        folder: Absolute path of the folder of the run. The file is made with the first number.

    Attributes:
        due: When `flush` should be called, in monotonic seconds; `None` if nothing waits to be written.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, NUMBERS_NAME)
        self._waiting: dict[str, array[float]] = {}
        self._points: dict[str, array[float]] = {}  # those in the file
        self._size_of_names = 0
        self._has_begun = False
        self._size = 0
        self._rewrite_at = _ROOM
        self._has_failed = False
        self.due: float | None = None

    def add(self, attribute: str, moment: float, value: float, now: float) -> None:
        """Add a point of a public attribute; it is written by a later `flush`.

        Args:
            attribute: Full name of the attribute, such as `root.train.loss`.
            moment: Seconds since 1970.
            value: The value.
            now: The time in monotonic seconds.
        """
        points = self._waiting.get(attribute)
        if points is None:
            if self._has_failed or not _fits(attribute) or _is_private(attribute):
                return
            points = self._waiting[attribute] = array("d")
            if self.due is None:
                self.due = now + INTERVAL
        points.append(moment)
        points.append(value)
        if len(points) >= 2 * MAX_POINTS:
            self._waiting[attribute] = _thin(points, MAX_POINTS // 2)

    def flush(self) -> None:
        """Write the numbers that were added, if there are any."""
        waiting, self._waiting, self.due = self._waiting, {}, None
        if not waiting or self._has_failed:
            return
        try:
            if not self._has_begun:
                self._begin()
            few = {name: _thin(points, _POINTS_PER_WRITE) for name, points in waiting.items()}
            self._append(self._take(few))
            if self._size > self._rewrite_at:
                self._rewrite()
        except OSError as error:
            self._has_failed = True
            _log.warning(
                "The history of numbers ends here: %r can't be written: %s", self._path, error.strerror
            )

    def _take(self, new: dict[str, array[float]]) -> dict[str, array[float]]:
        """Add new points to those that are known, and return those of attributes that have a history."""
        taken: dict[str, array[float]] = {}
        for attribute, points in new.items():
            known = self._points.get(attribute)
            if known is None:
                size = self._size_of_names + len(attribute.encode(errors="surrogatepass"))
                if len(self._points) >= MAX_ATTRIBUTES or size > _MAX_NAMES:
                    continue
                self._size_of_names = size
                known = self._points[attribute] = array("d")
            known.extend(points)
            taken[attribute] = points
        return taken

    def _begin(self) -> None:
        """Take over the points of an earlier process that ran this run."""
        found, self._size = _read(self._path)
        self._take(found)  # an earlier version may have written more attributes
        with (
            suppress(FileNotFoundError),
            FileIO(self._path, "r+", opener=lambda path, _: open_regular(path, os.O_RDWR)) as file,
        ):
            file.truncate(self._size)  # a process may have died while it wrote the last line
        self._has_begun = True

    def _append(self, points_of: dict[str, array[float]]) -> None:
        """Append points, all or none; the file is not kept open, because that happens once a second."""
        data = b"".join(_lines(attribute, points) for attribute, points in points_of.items())
        with _opened(self._path) as file:
            try:
                _write(file, data)
            except OSError:
                file.truncate(self._size)
                raise
        self._size += len(data)

    def _rewrite(self) -> None:
        """Replace the file by one that has only the points that are kept."""
        limit = _limit_for(self._points)
        self._points = {attribute: _thin(points, limit) for attribute, points in self._points.items()}
        new = f"{self._path}.new"
        with suppress(FileNotFoundError):
            os.unlink(new)
        with _opened(new) as file:
            for attribute, points in self._points.items():  # all lines at once would need some 12 MB
                _write(file, _lines(attribute, points))
            self._size = file.tell()
        os.replace(new, self._path)
        self._rewrite_at = min(2 * self._size + _ROOM, _MAX_SIZE)


def read_numbers(folder: str) -> dict[str, list[Point]]:
    """Return the numbers in public attributes of a run over time, while it runs or after its end.

    Args:
        folder: Absolute path of the folder of the run.

    Returns:
        At most 2,000 points for each attribute, by its full name, oldest first: the time in seconds since
        1970, and the value. It is empty for a run without numbers, or of an earlier version.

    Raises:
        OSError: The file can't be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log = NumbersLog(folder)
        ...     log.add("root.train.loss", 1764000000.0, 0.5, now=0.0)
        ...     log.flush()
        ...     read_numbers(folder)
        {'root.train.loss': [(1764000000.0, 0.5)]}
    """
    found, _ = _read(os.path.join(folder, NUMBERS_NAME))
    # Logs of earlier versions have `root.serve._port`, too.
    return {
        attribute: list(zip(points[::2], points[1::2], strict=True))
        for attribute, points in found.items()
        if not _is_private(attribute)
    }


def _fits(attribute: str) -> bool:
    """Return whether a line of the file can have this name; a character has at most four bytes."""
    return "\n" not in attribute and "\t" not in attribute and len(attribute) <= _LONGEST_LINE // 8


def _is_private(attribute: str) -> bool:
    return attribute.rpartition(".")[2].startswith("_")


def _read(path: str) -> tuple[dict[str, array[float]], int]:
    """Return the points in complete lines, and the size of these lines in bytes.

    A damaged line is left out, because the others are still true.

    Raises:
        OSError: The file can't be read, or has no lines.
    """
    found: dict[str, array[float]] = {}
    size = 0
    try:
        with open(open_regular(path), "rb") as file:
            for line in _complete_lines(file, path):
                size += len(line)
                with suppress(ValueError):
                    attribute, moment, value = line.decode(errors="replace").split("\t")
                    found.setdefault(attribute, array("d")).extend((float(moment), float(value)))
    except FileNotFoundError:
        pass
    return {attribute: _thin(points, MAX_POINTS) for attribute, points in found.items()}, size


def _complete_lines(file: BufferedReader, path: str) -> Iterator[bytes]:
    while (line := file.readline(_LONGEST_LINE)).endswith(b"\n"):
        yield line
    if len(line) == _LONGEST_LINE:
        raise OSError(EFBIG, f"it has a line of {_LONGEST_LINE} bytes or more", path)


def _opened(path: str) -> FileIO:
    return FileIO(path, "a", opener=lambda path, _: open_regular(path, _WRITE_FLAGS))


def _write(file: FileIO, data: bytes) -> None:
    """Write all bytes.

    Raises:
        OSError: They can't be written; the disk may have room for a part of them.
    """
    if file.write(data) != len(data):
        raise OSError(ENOSPC, os.strerror(ENOSPC))


def _lines(attribute: str, points: array[float]) -> bytes:
    numbers = iter(points)
    lines = [f"{attribute}\t{moment!r}\t{value!r}\n" for moment, value in zip(numbers, numbers, strict=True)]
    return "".join(lines).encode(errors="surrogatepass")


def _limit_for(found: dict[str, array[float]]) -> int:
    """Return how many points of each attribute may stay, so that all lines have half of the largest size."""
    sizes = [
        (len(name.encode(errors="surrogatepass")) + _SIZE_OF_POINT, len(points) // 2)
        for name, points in found.items()
    ]
    limit = MAX_POINTS // 2
    while limit > _MIN_POINTS and sum(size * min(count, limit) for size, count in sizes) > _MAX_SIZE // 2:
        limit = max(limit * 7 // 8, _MIN_POINTS)
    return limit


def _thin(points: array[float], limit: int) -> array[float]:
    """Return at most `limit` of some points, an even number: the lowest and the highest of each span of time.

    The first and the last point stay. A value that is not a number counts as the highest, so that it stays.
    """
    if len(points) <= 2 * limit:
        return points
    times, values = points[::2], points[1::2]
    first, last = times[0], times[-1]
    num_spans = (limit - 2) // 2
    width = (last - first) / num_spans or 1.0
    lowest: dict[int, int] = {}
    highest: dict[int, int] = {}
    for index, (moment, value) in enumerate(zip(times, values, strict=True)):
        span = int((moment - first) / width)
        if not 0 <= span < num_spans:  # the last point, or the clock was set back
            span = 0 if span < 0 else num_spans - 1
        if span not in lowest:
            lowest[span] = highest[span] = index
        elif value < (low := values[lowest[span]]) or isnan(low):
            lowest[span] = index
        elif value > values[highest[span]] or isnan(value):
            highest[span] = index
    kept = sorted({0, *lowest.values(), *highest.values(), len(times) - 1})
    return array("d", [number for index in kept for number in (times[index], values[index])])
