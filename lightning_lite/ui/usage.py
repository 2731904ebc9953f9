"""CPU and memory of processes."""

from __future__ import annotations

from collections.abc import Iterable
from time import monotonic
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil

#: Seconds for which a figure is kept: over less time, the CPU of a process says little.
_INTERVAL = 1.0


class Usage(NamedTuple):
    """What one process uses.

    Attributes:
        cpu: What part of one CPU, since the last time; `None` at the first time.
        memory: Bytes of main memory that it holds, shared ones included.
    """

    cpu: float | None
    memory: int


class UsageMeter:
    """Reads what processes use, again and again.

    Example:
        >>> import os
        >>> UsageMeter().read(os.getpid()).memory > 2**20
        True
    """

    def __init__(self) -> None:
        self._meters: dict[int, _Meter] = {}

    def read(self, pid: int) -> Usage | None:
        """Return what a process uses, as of the last second; `None` if it is gone or not ours to look at."""
        meter = self._meters.get(pid)
        if meter is None:
            meter = self._meters[pid] = _Meter()
        return meter.read(pid)

    def forget_all_but(self, pids: Iterable[int | None]) -> None:
        """Forget processes that are not asked for any more."""
        for pid in self._meters.keys() - set(pids):
            del self._meters[pid]


class _Meter:
    """What one process uses."""

    __slots__ = ("_process", "_read_at", "_usage")

    def __init__(self) -> None:
        self._process: psutil.Process | None = None
        self._read_at = float("-inf")
        self._usage: Usage | None = None

    def read(self, pid: int) -> Usage | None:
        import psutil  # noqa: PLC0415 - 20 ms that only a view pays

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
