"""The calls of one work that wait for their turn, or for the end of their process."""

from __future__ import annotations

from collections import deque

from lightning_lite.tree.calls import Call


class Slots:
    """Counts the calls that run, up to a limit.

    Args:
        limit: How many may run at once, or `None` for any number.
    """

    __slots__ = ("_limit", "_taken")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0

    @property
    def is_free(self) -> bool:
        """Whether one more may run."""
        return self._limit is None or self._taken < self._limit

    def take(self) -> None:
        """A call begins to run."""
        self._taken += 1

    def give_back(self) -> None:
        """A call runs no longer."""
        self._taken -= 1


class CallQueue:
    """Calls in the order in which they are sent, and those that a stop has cut."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()
        self._not_before = 0.0
        self._cut: deque[Call] = deque()

    def __bool__(self) -> bool:
        """Return whether calls wait for their turn."""
        return bool(self._waiting)

    @property
    def due(self) -> float | None:
        """When the first one may be sent again, in monotonic seconds, `None` if nothing waits for a delay."""
        return self._not_before if self._waiting and self._not_before else None

    def is_due(self, now: float) -> bool:
        """Return whether a call may be sent."""
        return bool(self._waiting) and now >= self._not_before

    def add(self, call: Call) -> None:
        """Put a call behind all others."""
        self._waiting.append(call)

    def put_back(self, call: Call, not_before: float = 0.0) -> None:
        """Let a call that was taken be the next one, at the given monotonic time or later."""
        self._waiting.appendleft(call)
        self._not_before = not_before

    def take(self) -> Call:
        """Return the next call, which waits no longer."""
        self._not_before = 0.0
        return self._waiting.popleft()

    def cut(self, call: Call) -> None:
        """Let a call that was sent end as stopped when the process is gone."""
        self._cut.append(call)

    def cut_waiting(self) -> None:
        """Let all that wait end as stopped; a delay was for one of them."""
        self._cut += self._waiting
        self._waiting.clear()
        self._not_before = 0.0

    def take_cut(self) -> Call | None:
        """Return one call that was cut, once, or `None`; whatever is raised amid them leaves the others."""
        return self._cut.popleft() if self._cut else None
