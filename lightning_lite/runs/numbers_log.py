"""The numbers in the state of a run over time: a side file, from which a page draws them.

    numbers.log     one line for each point: name of the attribute, time, value; separated by tabs

The journal keeps only the last value of an attribute. This file keeps at most 2,000 points of each number,
evenly over the time: with more, only the lowest and the highest of each span stay. It is written at most
once a second, so a process that is killed loses the points of its last second. No rule of the app depends on
it: an incomplete last line is ignored, and a file that can't be written is given up with a warning.

    for attribute, points in read_numbers("/root/runs/20261122-035501123-9f3ac2").items():
        print(attribute, points[-1])
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from errno import EFBIG, ENOSPC
from io import BufferedReader, FileIO
from math import isnan

from lightning_lite.regular_files import open_regular

#: Name of the file in the folder of a run.
NUMBERS_NAME = "numbers.log"

#: Points that are kept of one attribute, and the number of attributes that have a history.
MAX_POINTS = 2000
MAX_ATTRIBUTES = 1000

#: Seconds for which points stay in memory before they are written, and points of an attribute in one write.
INTERVAL = 1.0
_POINTS_PER_WRITE = 10

#: The file is written again without the points that were left out when it is larger than twice its size after
#: the last time, and this number of bytes.
_ROOM = 1024 * 1024

#: Time in seconds since 1970, and value.
Point = tuple[float, float]

_log = logging.getLogger("lightning_lite")
_WRITE_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CREAT

#: Maximum of bytes of a line. The file of another program may have no lines at all.
_LONGEST_LINE = 64 * 1024


class NumbersLog:
    """Writes the numbers of one run; only the process of its flow may do that.

    Args:
        folder: Absolute path of the folder of the run. The file is made with the first number.

    Attributes:
        due: When `flush` should be called, in monotonic seconds; `None` if nothing waits to be written.
    """

    def __init__(self, folder: str) -> None:
        self._path = os.path.join(folder, NUMBERS_NAME)
        self._waiting: dict[str, list[Point]] = {}
        self._points: dict[str, list[Point]] = {}
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
        if self._has_failed or "\n" in attribute or len(attribute) > _LONGEST_LINE // 8:
            return
        if _is_private(attribute):
            return
        points = self._waiting.setdefault(attribute, [])
        points.append((moment, value))
        if len(points) >= MAX_POINTS:
            self._waiting[attribute] = _thin(points, MAX_POINTS // 2)
        if self.due is None:
            self.due = now + INTERVAL

    def flush(self) -> None:
        """Write the numbers that were added, if there are any."""
        waiting, self._waiting, self.due = self._waiting, {}, None
        if not waiting or self._has_failed:
            return
        try:
            if not self._has_begun:
                self._begin()
            self._append(self._path, self._take(waiting))
            if self._size > self._rewrite_at:
                self._rewrite()
        except OSError as error:
            self._has_failed = True
            _log.warning(
                "The history of numbers ends here: %r can't be written: %s", self._path, error.strerror
            )

    def _take(self, waiting: dict[str, list[Point]]) -> str:
        """Add new points to those that are known, and return their lines."""
        lines: list[str] = []
        for attribute, new in waiting.items():
            known = self._points.get(attribute)
            if known is None:
                if len(self._points) >= MAX_ATTRIBUTES:
                    continue
                known = self._points[attribute] = []
            few = _thin(new, _POINTS_PER_WRITE)
            known += few
            lines += _lines(attribute, few)
            if len(known) > MAX_POINTS:
                self._points[attribute] = _thin(known, MAX_POINTS // 2)
        return "".join(lines)

    def _begin(self) -> None:
        """Take over the points of an earlier process that ran this run."""
        self._points, self._size = _read(self._path)
        with (
            suppress(FileNotFoundError),
            FileIO(self._path, "r+", opener=lambda path, _: open_regular(path, os.O_RDWR)) as file,
        ):
            file.truncate(self._size)  # a process may have died while it wrote the last line
        self._has_begun = True

    def _append(self, path: str, text: str) -> None:
        """Append lines to a file, all or none; it is not kept open, because that happens once a second."""
        data = text.encode(errors="surrogatepass")
        with FileIO(path, "a", opener=lambda path, _: open_regular(path, _WRITE_FLAGS)) as file:
            if file.write(data) != len(data):
                file.truncate(self._size)
                raise OSError(ENOSPC, os.strerror(ENOSPC))
        self._size += len(data)

    def _rewrite(self) -> None:
        """Replace the file by one that has only the points that are kept."""
        new = f"{self._path}.new"
        with suppress(FileNotFoundError):
            os.unlink(new)
        self._size = 0
        self._append(
            new, "".join(line for name, points in self._points.items() for line in _lines(name, points))
        )
        os.replace(new, self._path)
        self._rewrite_at = 2 * self._size + _ROOM


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
    return {attribute: points for attribute, points in found.items() if not _is_private(attribute)}


def _is_private(attribute: str) -> bool:
    return attribute.rpartition(".")[2].startswith("_")


def _read(path: str) -> tuple[dict[str, list[Point]], int]:
    """Return the points in complete lines, and the size of these lines in bytes.

    A damaged line is left out, because the others are still true.

    Raises:
        OSError: The file can't be read, or has no lines.
    """
    found: dict[str, list[Point]] = {}
    size = 0
    try:
        with open(open_regular(path), "rb") as file:
            for line in _complete_lines(file, path):
                size += len(line)
                with suppress(ValueError):
                    attribute, moment, value = line.decode(errors="replace").split("\t")
                    found.setdefault(attribute, []).append((float(moment), float(value)))
    except FileNotFoundError:
        pass
    return {attribute: _thin(points, MAX_POINTS) for attribute, points in found.items()}, size


def _complete_lines(file: BufferedReader, path: str) -> Iterator[bytes]:
    while (line := file.readline(_LONGEST_LINE)).endswith(b"\n"):
        yield line
    if len(line) == _LONGEST_LINE:
        raise OSError(EFBIG, f"it has a line of {_LONGEST_LINE} bytes or more", path)


def _lines(attribute: str, points: Iterable[Point]) -> list[str]:
    return [f"{attribute}\t{moment!r}\t{value!r}\n" for moment, value in points]


def _thin(points: list[Point], limit: int) -> list[Point]:
    """Return at most `limit` of some points, an even number: the lowest and the highest of each span of time.

    The first and the last point stay. A value that is not a number counts as the highest, so that it stays.
    """
    if len(points) <= limit:
        return points
    first, last = points[0], points[-1]
    num_spans = (limit - 2) // 2
    width = (last[0] - first[0]) / num_spans or 1.0
    spans: dict[int, list[Point]] = {}
    for point in points[1:-1]:
        number = min(max(int((point[0] - first[0]) / width), 0), num_spans - 1)
        spans.setdefault(number, []).append(point)
    kept = [first]
    for number in sorted(spans):
        span = spans[number]
        low = min(range(len(span)), key=lambda index: _rank(span[index]))
        high = max(range(len(span)), key=lambda index: _rank(span[index]))
        kept += [span[index] for index in sorted({low, high})]
    return [*kept, last]


def _rank(point: Point) -> tuple[bool, float]:
    return isnan(point[1]), point[1]
