"""CPU and memory of processes over time.

A process counts with all its descendants. A measurement does not wait: the use of the CPU is that since the
measurement before. A process is known by its id and the time of its start, because the system gives
the id of a process that has ended to another one.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from threading import Lock
from time import monotonic, time
from typing import NamedTuple

import psutil

from lightning_lite.places import Place

#: Seconds between two samples of `RunUsage`, at least.
INTERVAL = 1.0

#: Seconds for which samples are kept, and the maximum number of samples of one work.
_KEPT_SECONDS = 600.0
_KEPT_SAMPLES = 600


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


class UsageSample(NamedTuple):
    """The usage of a process at a time, in seconds since 1970; see `Usage`."""

    time: float
    cpu: float
    memory: int


class RunUsage:
    """CPU and memory of the processes of one run over the last ten minutes.

    It measures only when `look` is called, at most once a second, so that a run that is not shown costs
    nothing. Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._meter = UsageMeter()
        self._series: dict[str, _Series] = {}
        self._looked_at = float("-inf")

    def look(self, places: Mapping[str, Place | None]) -> None:
        """Measure the processes that are on this host, if the last measurement is a second old.

        Args:
            places: Where each process runs, by the name of its work; `""` is the app itself.
        """
        with self._lock:
            if monotonic() - self._looked_at < INTERVAL:
                return
            self._looked_at = monotonic()
            pids = {
                name: place.pid for name, place in places.items() if place is not None and place.is_here()
            }
            usage, now = self._meter.measure(pids.values()), time()
            for name, pid in pids.items():
                if pid in usage:
                    self._series.setdefault(name, _Series()).append(UsageSample(now, *usage[pid]))
            oldest = now - _KEPT_SECONDS
            self._series = {name: one for name, one in self._series.items() if one.last.time >= oldest}

    def newest(self, name: str) -> UsageSample | None:
        """Return the newest sample of a work, or of the app (`""`), if it is only some seconds old."""
        with self._lock:
            series = self._series.get(name)
            return series.last if series is not None and series.last.time > time() - 5 * INTERVAL else None

    def since(self, moment: float) -> dict[str, list[UsageSample]]:
        """Return the samples after a time in seconds since 1970, by work; `""` is the app itself."""
        with self._lock:
            found = {name: series.after(moment) for name, series in self._series.items()}
        return {name: samples for name, samples in found.items() if samples}


class _Series:
    """The samples of one work: three numbers each, without an object for each."""

    def __init__(self) -> None:
        self._times = array("d")
        self._values = array("d")

    @property
    def last(self) -> UsageSample:
        """The newest sample."""
        return self._sample(len(self._times) - 1)

    def append(self, sample: UsageSample) -> None:
        """Add a sample, and forget the oldest."""
        self._times.append(sample.time)
        self._values.extend((sample.cpu, sample.memory))
        excess = max(len(self._times) - _KEPT_SAMPLES, bisect_right(self._times, sample.time - _KEPT_SECONDS))
        del self._times[:excess], self._values[: 2 * excess]

    def after(self, moment: float) -> list[UsageSample]:
        """Return the samples after a time."""
        return [self._sample(at) for at in range(bisect_right(self._times, moment), len(self._times))]

    def _sample(self, at: int) -> UsageSample:
        return UsageSample(self._times[at], self._values[2 * at], int(self._values[2 * at + 1]))
