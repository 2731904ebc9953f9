"""Named timers in a heap: the cost of a step does not grow with their number."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from lightning_lite.clock import Moment


class Timers:
    """One timer for each name, the earliest first.

    Example:
        >>> timers = Timers()
        >>> timers.set("a", 5.0)
        >>> timers.set("b", 3.0)
        >>> timers.set("b", None)
        >>> timers.next
        5.0
    """

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # may hold outdated entries; `_due` has the current times

    @property
    def next(self) -> float | None:
        """The earliest time in monotonic seconds, or `None`."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def set(self, name: str, due: float | None) -> None:
        """Set the timer of `name` to a time in monotonic seconds, or remove it if `due` is `None`."""
        if due is None:
            self._due.pop(name, None)
        elif self._due.get(name) != due:
            self._due[name] = due
            heappush(self._heap, (due, name))
            if len(self._heap) > 2 * len(self._due) + 64:
                self._heap = [(due, name) for name, due in self._due.items()]
                heapify(self._heap)

    def pop_due(self, now: Moment) -> list[str]:
        """Remove the timers that are due, and return their names."""
        names: list[str] = []
        if not self._heap:
            return names
        while (due := self.next) is not None and due <= now.monotonic:
            name = heappop(self._heap)[1]
            del self._due[name]
            names.append(name)
        return names
