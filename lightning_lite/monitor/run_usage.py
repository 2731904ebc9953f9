"""CPU and memory of the processes of a run over the last minutes."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections.abc import Mapping
from threading import Lock
from time import monotonic, time
from typing import NamedTuple

from lightning_lite.process_places import Place
from lightning_lite.process_usage import UsageMeter

#: Seconds between two samples of `RunUsage`, at least.
INTERVAL = 1.0

#: Seconds for which samples are kept, and the maximum number of samples of one work.
_KEPT_SECONDS = 600.0
_KEPT_SAMPLES = 600


class UsageSample(NamedTuple):
    """The usage of a process at a time, in seconds since 1970; see `process_usage.Usage`."""

    time: float
    cpu: float
    memory: int


class RunUsage:
    """CPU and memory of the processes of one run over the last ten minutes.

    It measures only when `measure` is called, at most once a second, so that a run that is not shown costs
    nothing. Any thread may use it.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._meter = UsageMeter()
        self._series: dict[str, _Series] = {}
        self._measured_at = float("-inf")

    def measure(self, places: Mapping[str, Place | None]) -> None:
        """Measure the processes that are on this host, if the last measurement is a second old.

        Args:
            places: Where each process runs, by the name of its work; `""` is the app itself.
        """
        with self._lock:
            if monotonic() - self._measured_at < INTERVAL:
                return
            self._measured_at = monotonic()
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
