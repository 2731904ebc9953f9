"""CPU and memory of processes.

A process counts with all its descendants. A measurement does not wait: the use of the CPU is that since the
measurement before. A process is known by its id and the time of its start, because the system gives
the id of a process that has ended to another one.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil


class Usage(NamedTuple):
    """What a process and its descendants use.

    Attributes:
        cpu: Use of one CPU since the measurement before, from 0 to 1 or more.
        memory: Main memory in bytes, shared memory included.
    """

    cpu: float
    memory: int


class UsageMeter:
    """Measures some processes with their descendants, again and again.

    Example:
        >>> import os
        >>> UsageMeter().measure([os.getpid()])[os.getpid()].memory > 2**20
        True
    """

    def __init__(self) -> None:
        self._seconds: dict[tuple[int, float], float] = {}  # pid and start: seconds of CPU so far
        self._measured_at = time()
        self._elapsed_from = monotonic()

    def measure(self, pids: Iterable[int]) -> dict[int, Usage]:
        """Return the usage of each process that is there, by its id.

        Args:
            pids: Ids of processes on this host; a descendant that is among them counts only for itself.
        """
        wanted = set(pids)
        if not wanted:
            return {}
        now = monotonic()
        elapsed = max(now - self._elapsed_from, 1e-6)
        before, self._seconds = self._seconds, {}
        import psutil  # noqa: PLC0415 - it takes 20 ms, and most apps measure nothing

        found = {}
        for top, family in _families(wanted).items():
            cpu, memory = 0.0, 0
            for process in family:
                with suppress(psutil.Error):
                    cpu += self._cpu_of(process, before) / elapsed
                    memory += process.memory_info().rss
            found[top] = Usage(cpu, memory)
        self._elapsed_from, self._measured_at = now, time()
        return found

    def _cpu_of(self, process: psutil.Process, before: Mapping[tuple[int, float], float]) -> float:
        """Return the seconds of CPU of a process since the last measurement."""
        key = process.pid, process.create_time()
        used = process.cpu_times()
        seconds: float = used.user + used.system
        self._seconds[key] = seconds
        if key in before:
            return max(0.0, seconds - before[key])
        return seconds if key[1] > self._measured_at else 0.0


def _families(tops: set[int]) -> dict[int, list[psutil.Process]]:
    """Return each process that is there, with those of its descendants that are no tops themselves.

    All processes are listed once: `Process.children` would list them for each process.
    """
    import psutil  # noqa: PLC0415 - as above

    children: dict[int, list[psutil.Process]] = defaultdict(list)
    families: dict[int, list[psutil.Process]] = {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.pid in tops:
                if process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
                    families[process.pid] = [process]
            else:
                children[process.ppid()].append(process)
    for family in families.values():
        for process in family:  # which grows in this loop
            family += (child for child in children[process.pid] if child.is_running())
    return families
