"""Named timers in a heap: the cost of a step does not grow with their number."""

from __future__ import annotations

from heapq import heapify, heappop, heappush

from lightning_lite.clock import Moment


class Timers:
    """One timer for each name, the earliest first.

    Attributes:
        next: The earliest time in monotonic seconds, or `None`.

    Example:
        >>> timers = Timers()
        >>> timers.set("a", 5.0)
        >>> timers.set("b", 3.0)
        >>> timers.set("b", None)
        >>> timers.next
        5.0
    """

    def __init__(self) -> None:
        self.next: float | None = None
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # may hold outdated entries; `_due` has the current times

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
        self._find_next()

    def pop_due(self, now: Moment) -> list[str]:
        """Remove the timers that are due, and return their names."""
        names: list[str] = []
        while self.next is not None and self.next <= now.monotonic:
            name = heappop(self._heap)[1]
            del self._due[name]
            names.append(name)
            self._find_next()
        return names

    def _find_next(self) -> None:
        """Remove outdated entries from the top of the heap, and set `next`."""
        heap = self._heap
        while heap and self._due.get(heap[0][1]) != heap[0][0]:
            heappop(heap)
        self.next = heap[0][0] if heap else None
