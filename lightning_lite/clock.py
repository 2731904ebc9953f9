"""The real clock, and one that tests turn by hand."""

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
    """A source of the time, handed to all parts that need one."""

    def now(self) -> Moment:
        """Return the present moment."""

    def seconds_until(self, monotonic: float) -> float | None:
        """Return how long to sleep before asking again whether a moment has come, in seconds.

        0 if it has come; `None` to sleep until `watch` says so.
        """

    def watch(self, turned: Callable[[], None] | None) -> None:
        """Call `turned` whenever the clock is turned by hand; `None` ends that."""


class RealClock:
    """The clock of this computer."""

    def now(self) -> Moment:
        """Return the present moment."""
        return Moment(time.monotonic(), time.time())

    def seconds_until(self, monotonic: float) -> float | None:
        """Return the seconds until a moment, at least 0 and at most a day."""
        return min(max(0.0, monotonic - time.monotonic()), _LONGEST_SLEEP)

    def watch(self, turned: Callable[[], None] | None) -> None:
        """Do nothing: this clock is never turned by hand."""


class ManualClock:
    """A clock that stands still until a test turns it.

    Args:
        wall: Seconds since 1970 at which it starts.

    Example:
        >>> clock = ManualClock()
        >>> before = clock.now()
        >>> clock.advance(2.5)
        >>> clock.now().monotonic - before.monotonic
        2.5
    """

    def __init__(self, wall: float = 1_700_000_000.0) -> None:
        self._moment = Moment(0.0, wall)
        self._turned: Callable[[], None] | None = None

    def now(self) -> Moment:
        """Return the moment to which the clock was turned."""
        return self._moment

    def advance(self, seconds: float) -> None:
        """Turn the clock on by `seconds`, and wake the thread that waits for a later moment."""
        self._moment = Moment(self._moment.monotonic + seconds, self._moment.wall + seconds)
        if self._turned is not None:
            self._turned()

    def seconds_until(self, monotonic: float) -> float | None:
        """Return 0 if the moment has come, else `None`: only `advance` brings it."""
        return 0.0 if monotonic <= self._moment.monotonic else None

    def watch(self, turned: Callable[[], None] | None) -> None:
        """Call `turned` after each `advance`."""
        self._turned = turned
