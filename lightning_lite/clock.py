"""The real clock, and one that tests control."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import NamedTuple, Protocol

_LONGEST_SLEEP = 86_400.0  # seconds; the system refuses to sleep for more than 24 days


class Moment(NamedTuple):
    """A point in time.

    Attributes:
        monotonic: Seconds that never jump, for deadlines.
        wall: Seconds since 1970, for people.
    """

    monotonic: float
    wall: float


class Clock(Protocol):
    """A source of the time."""

    def now(self) -> Moment:
        """Return the present time."""

    def seconds_until(self, monotonic: float) -> float | None:
        """Return how many seconds to sleep before the next check of the deadline `monotonic`.

        0 if the deadline has passed; `None` to sleep until `watch` reports a change.
        """

    def exclude(self, seconds: float) -> None:
        """Exclude seconds in which the app was suspended: no deadline comes nearer by them."""

    def watch(self, on_change: Callable[[], None] | None) -> None:
        """Call `on_change` after each change of the clock by a test; `None` removes the callback."""


class RealClock:
    """The clock of this computer."""

    def __init__(self) -> None:
        self._excluded = 0.0

    def now(self) -> Moment:
        """Return the present time."""
        return Moment(time.monotonic() - self._excluded, time.time())

    def seconds_until(self, monotonic: float) -> float | None:
        """Return the seconds until a deadline, at least 0 and at most a day."""
        return min(max(0.0, monotonic + self._excluded - time.monotonic()), _LONGEST_SLEEP)

    def exclude(self, seconds: float) -> None:
        """Exclude seconds in which the app was suspended: no deadline comes nearer by them."""
        self._excluded += seconds

    def watch(self, on_change: Callable[[], None] | None) -> None:
        """Do nothing: no test changes this clock."""


class ManualClock:
    """A clock that changes only when a test calls `advance`.

    Args:
        wall: The time at which it starts, in seconds since 1970.

    Example:
        >>> clock = ManualClock()
        >>> before = clock.now()
        >>> clock.advance(2.5)
        >>> clock.now().monotonic - before.monotonic
        2.5
    """

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._moment = Moment(0.0, wall)
        self._on_change: Callable[[], None] | None = None

    def now(self) -> Moment:
        """Return the time that the last `advance` set."""
        return self._moment

    def advance(self, seconds: float) -> None:
        """Advance the clock by `seconds`, and wake the thread that waits for a later time."""
        self._moment = Moment(self._moment.monotonic + seconds, self._moment.wall + seconds)
        if self._on_change is not None:
            self._on_change()

    def seconds_until(self, monotonic: float) -> float | None:
        """Return 0 if the deadline has passed, else `None`: only `advance` can reach it."""
        return 0.0 if monotonic <= self._moment.monotonic else None

    def exclude(self, seconds: float) -> None:
        """Do nothing: this clock stands still while the app is suspended."""

    def watch(self, on_change: Callable[[], None] | None) -> None:
        """Call `on_change` after each `advance`."""
        self._on_change = on_change
