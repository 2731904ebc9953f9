"""The runs that pages look at: one reader for each, which all requests share.

While no request asks, nothing is read. A reader gets at most a fifth of the time of a core, after a first
second without that limit; a run that has ended is read without it. So a run with many calls is shown while it
is read, and the answers say how far. The memory of a run that no page looks at is given back after a minute.
"""

from __future__ import annotations

import gc
from collections.abc import Callable
from secrets import token_hex
from threading import Event, Lock, Thread
from time import monotonic

from lightning_lite.monitor.call_details import CallList
from lightning_lite.monitor.call_graph import CallGraph
from lightning_lite.monitor.follower import RunFollower
from lightning_lite.monitor.prometheus import CallCounters
from lightning_lite.monitor.run_overview import RunOverview
from lightning_lite.monitor.state_tree import StateTree
from lightning_lite.monitor.timeline import Timeline
from lightning_lite.runs.catalog import RunSummary

#: Maximum number of runs that are read at the same time.
MAX_READERS = 24

#: Seconds after which a run that no page asks for is forgotten.
_LIFETIME = 60.0

#: Share of the time of a core that a reader may use, and the seconds that it may save up.
_SHARE = 0.2
_MAX_CREDIT = 1.0

#: Seconds for which a request reads before it answers.
PATIENCE = 0.05

#: Seconds of a reading within which other requests wait for the lock.
_SLICE = 0.05

#: Seconds before a thread reads on: at once, it would delay the answer that started it.
_READ_ON_AFTER = 0.4

#: Seconds for which the reading continues after the last request.
_READ_ON = 5.0


class Views:
    """The views that are derived from a history, and grow with it; the caller holds the lock of the follower.

    Args:
        follower: The follower.

    Attributes:
        generation: The generation of the follower from which it was made.
        timeline: The calls over time.
        calls: The list of calls.
        state: The state of the components.
        graph: The graph of the calls between components.
    """

    def __init__(self, follower: RunFollower) -> None:
        self.generation = follower.generation
        self.timeline = Timeline(follower.history)
        self.calls = CallList(follower.history)
        self.state = StateTree(follower.history)
        self.graph = CallGraph(follower.history)


class RunReader:
    """One run that pages look at.

    Args:
        path: Absolute path of its folder.

    Attributes:
        follower: Reads its journal.
        overview: Describes it.
        counters: Counts its calls for `/metrics`; they stay if the journal is replaced.
        name: A text that no other reader has had: a new one for the same run counts its revisions from 0.
        asked: When a page has asked last, in monotonic seconds.
    """

    def __init__(self, path: str) -> None:
        self.follower = RunFollower(path)
        self.overview = RunOverview(self.follower)
        self.counters = CallCounters()
        self.name = token_hex(8)
        self.asked = monotonic()
        self._views: Views | None = None
        self._budget = Budget()
        self._starting = Lock()
        self._thread: Thread | None = None

    @property
    def views(self) -> Views:
        """The views of the history of the present generation; the lock of the follower is held."""
        if self._views is None or self._views.generation != self.follower.generation:
            self._views = Views(self.follower)
        return self._views

    def catch_up(self, patience: float, *, is_running: bool) -> None:
        """Read new events, for a moment, if no thread does so; the rest is read in a thread while pages ask.

        Args:
            patience: Maximum of seconds to read now.
            is_running: Whether the app is still running, so that it needs the processors, too.
        """
        self.asked = monotonic()
        if self._thread is not None and self._thread.is_alive() and self._is_behind():
            return
        self._read(patience, is_running=is_running)
        if self._is_behind() and self._starting.acquire(blocking=False):
            try:
                if self._thread is None or not self._thread.is_alive():
                    self._thread = Thread(
                        target=self._read_on,
                        args=(is_running,),
                        name="lightning-lite-page-reader",
                        daemon=True,
                    )
                    self._thread.start()
            finally:
                self._starting.release()

    def _read_on(self, is_running: bool) -> None:
        pause = Event()
        pause.wait(_READ_ON_AFTER)
        while self._is_behind() and monotonic() - self.asked < _READ_ON:
            self._read(_SLICE, is_running=is_running)
            pause.wait(self._budget.seconds_until(_SLICE) if is_running else 0.001)

    def _read(self, seconds: float, *, is_running: bool) -> None:
        budget = min(seconds, self._budget.credit()) if is_running else seconds
        if budget <= 0:
            return
        began = monotonic()
        self.follower.follow(budget)
        self._budget.spend(monotonic() - began)

    def _is_behind(self) -> bool:
        return not self.follower.is_complete


class Budget:
    """The seconds that a reader may still use: a share of the time that passes.

    Args:
        clock: Returns the time in seconds.

    Example:
        >>> now = 0.0
        >>> budget = Budget(lambda: now)
        >>> budget.spend(1.0)
        >>> budget.credit(), budget.seconds_until(0.1)
        (0.0, 0.5)
        >>> now = 0.5
        >>> budget.credit()
        0.1
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._credit = _MAX_CREDIT
        self._at = clock()

    def credit(self) -> float:
        """Return the seconds that may be used now."""
        now = self._clock()
        self._credit = min(_MAX_CREDIT, self._credit + (now - self._at) * _SHARE)
        self._at = now
        return max(0.0, self._credit)

    def spend(self, seconds: float) -> None:
        """Note that seconds were used, perhaps more than there were."""
        self.credit()
        self._credit -= seconds

    def seconds_until(self, credit: float) -> float:
        """Return the seconds until there is so much credit."""
        self.credit()
        return max(0.0, (credit - self._credit) / _SHARE)


class RunReaders:
    """All runs that pages look at; callable from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._readers: dict[str, RunReader] = {}
        self._sweeper: Thread | None = None
        self._woken = Event()  # ends the wait of the sweeper

    def reader_of(self, run: RunSummary, patience: float = PATIENCE) -> RunReader:
        """Read new events of a run, for a moment, and return its reader.

        Args:
            run: The run.
            patience: Maximum of seconds to read now; the rest is read in a thread while pages ask.
        """
        reader = self._find(run.path)
        reader.catch_up(patience, is_running=run.state == "running")
        return reader

    def __len__(self) -> int:
        return len(self._readers)

    def _find(self, path: str) -> RunReader:
        with self._lock:
            reader = self._readers.get(path)
            if reader is None:
                while len(self._readers) >= MAX_READERS:
                    del self._readers[min(self._readers, key=lambda each: self._readers[each].asked)]
                reader = self._readers[path] = RunReader(path)
            reader.asked = monotonic()
            if self._sweeper is None:
                self._sweeper = Thread(target=self._sweep, name="lightning-lite-page-sweeper", daemon=True)
                self._sweeper.start()
        return reader

    def close(self) -> None:
        """Forget all runs, and let the threads end."""
        with self._lock:
            for reader in self._readers.values():
                reader.asked = float("-inf")
            self._readers.clear()
            sweeper = self._sweeper
        self._woken.set()
        if sweeper is not None:
            sweeper.join()

    def _sweep(self) -> None:
        """Forget the runs that no page asks for, until there are none."""
        while True:
            with self._lock:
                oldest = min((each.asked for each in self._readers.values()), default=None)
                if oldest is None:
                    self._sweeper = None
                    return
            self._woken.wait(max(0.1, oldest + _LIFETIME - monotonic()))
            if self._forget():
                gc.collect()  # the histories have cycles

    def _forget(self) -> bool:
        with self._lock:
            old = monotonic() - _LIFETIME
            paths = [path for path, each in self._readers.items() if each.asked <= old]
            for path in paths:
                del self._readers[path]
        return bool(paths)
