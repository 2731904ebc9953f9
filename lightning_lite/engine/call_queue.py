"""Queue of the calls of one work, and the limit for running calls of all works."""

from __future__ import annotations

from collections import deque

from lightning_lite.tree.calls import Call


class CallQueue:
    """The calls of one work in the order in which they are sent, and those that a stop has interrupted."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()
        self._not_before = 0.0
        self._cut: deque[Call] = deque()

    def __bool__(self) -> bool:
        """Return whether calls are waiting."""
        return bool(self._waiting)

    @property
    def due(self) -> float | None:
        """When the delay before a retry ends, in monotonic seconds; `None` if there is no delay."""
        return self._not_before if self._waiting and self._not_before else None

    def is_due(self, now: float) -> bool:
        """Return whether the next call may be sent."""
        return bool(self._waiting) and now >= self._not_before

    def add(self, call: Call) -> None:
        """Append a call."""
        self._waiting.append(call)

    def put_back(self, call: Call, not_before: float = 0.0) -> None:
        """Make a call that was taken the next one again, at the given monotonic time or later."""
        self._waiting.appendleft(call)
        self._not_before = not_before

    def take(self) -> Call:
        """Remove the next call and return it."""
        self._not_before = 0.0
        return self._waiting.popleft()

    def cut(self, call: Call) -> None:
        """Add a sent call to the interrupted ones, which end as stopped when the process has exited."""
        self._cut.append(call)

    def cut_waiting(self) -> None:
        """Move all waiting calls to the interrupted ones, and cancel the delay."""
        self._cut += self._waiting
        self._waiting.clear()
        self._not_before = 0.0

    def take_cut(self) -> Call | None:
        """Remove one interrupted call and return it, or return `None`.

        One by one, so that an exception in the caller does not lose the others.
        """
        return self._cut.popleft() if self._cut else None


class Slots:
    """Counts the running calls of all works, up to a limit.

    Args:
        limit: Number of calls that may run at the same time, or `None` for no limit.
    """

    __slots__ = ("_limit", "_taken")

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._taken = 0

    @property
    def is_free(self) -> bool:
        """Whether one more call may run."""
        return self._limit is None or self._taken < self._limit

    def take(self) -> None:
        """Count a call that starts to run."""
        self._taken += 1

    def give_back(self) -> None:
        """Count a call that has ended."""
        self._taken -= 1
