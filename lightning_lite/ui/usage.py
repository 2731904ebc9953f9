"""CPU and memory of processes."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil

#: Seconds for which a measurement is reused: over a shorter time, the CPU use of a process is not meaningful.
_INTERVAL = 1.0


class Usage(NamedTuple):
    """The CPU and memory that one process uses.

    Attributes:
        cpu: Use of one CPU since the last measurement, from 0 to 1 or more; `None` the first time.
        memory: Main memory in bytes, shared memory included.
    """

    cpu: float | None
    memory: int


class UsageMeter:
    """Measures the usage of several processes repeatedly.

    Example:
        >>> import os
        >>> UsageMeter().read(os.getpid()).memory > 2**20
        True
    """

    def __init__(self) -> None:
        self._meters: dict[int, _Meter] = {}

    def read(self, pid: int) -> Usage | None:
        """Return the usage of a process, at most one second old; `None` if it has exited or can't be read."""
        meter = self._meters.get(pid)
        if meter is None:
            meter = self._meters[pid] = _Meter()
        return meter.read(pid)

    def forget_all_but(self, pids: Iterable[int | None]) -> None:
        """Forget all processes except these."""
        for pid in self._meters.keys() - set(pids):
            del self._meters[pid]


class _Meter:
    """Measures the usage of one process."""

    __slots__ = ("_process", "_read_at", "_usage")

    def __init__(self) -> None:
        self._process: psutil.Process | None = None
        self._read_at = float("-inf")
        self._usage: Usage | None = None

    def read(self, pid: int) -> Usage | None:
        import psutil  # noqa: PLC0415 - takes 20 ms, and only the view needs it

        if monotonic() - self._read_at < _INTERVAL:
            return self._usage
        self._read_at = monotonic()
        try:
            is_first = self._process is None
            self._process = self._process or psutil.Process(pid)
            cpu = self._process.cpu_percent() / 100
            self._usage = Usage(None if is_first else cpu, self._process.memory_info().rss)
        except psutil.Error:
            self._usage = None
        return self._usage
