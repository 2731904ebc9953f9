"""CPU and memory of processes.

A process counts with all its descendants. A measurement does not wait: the use of the CPU is that since the
measurement before. A process is known by its id and the time of its start, because the system gives
the id of a process that has ended to another one.
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from time import monotonic, time
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import psutil

#: Is there if the kernel lists the children of each thread.
_CHILDREN = "/proc/thread-self/children"


class Usage(NamedTuple):
    """CPU and memory of a process and its descendants.

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
        now = monotonic()
        if not wanted:
            self._seconds, self._elapsed_from, self._measured_at = {}, now, time()
            return {}
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
    """Return for each existing process of `tops` its descendants, without other processes of `tops`."""
    import psutil  # noqa: PLC0415 - as above

    children_of = _read_children if os.path.exists(_CHILDREN) else _list_children()
    families: dict[int, list[psutil.Process]] = {}
    for top in tops:
        with suppress(psutil.Error):
            process = psutil.Process(top)
            if process.status() != psutil.STATUS_ZOMBIE:
                families[top] = [process]
    for family in families.values():
        for process in family:  # which grows in this loop
            for child in children_of(process.pid):
                with suppress(psutil.Error):
                    if child not in tops:
                        family.append(psutil.Process(child))
    return families


def _read_children(pid: int) -> list[int]:
    """Return the ids of the children of a process; Linux has a file with those that each thread has started.

    It takes microseconds. To look at all processes takes 50 of them for each, also for threads of the kernel.
    """
    found: list[int] = []
    with suppress(OSError):  # the process has ended
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as file:
                found += map(int, file.read().split())
    return found


def _list_children() -> Callable[[int], list[int]]:
    """Look at all processes once, and return a function that does the same as `_read_children`."""
    import psutil  # noqa: PLC0415 - as above

    children: dict[int, list[int]] = defaultdict(list)
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            children[process.ppid()].append(process.pid)
    return lambda pid: children.get(pid, [])
