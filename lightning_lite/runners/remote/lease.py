"""The lease of a work on another machine: until when it may live without a message from its app.

    server  answer 7 at 100.0 s ──────────▶ main process  heard at 100.2 s: no report of a loss before
            lease until 100.0 + 1 lease ◀── call that names answer 7            100.2 + 1.5 leases

A lease counts from an answer that the main process has, never from the arrival of a call, which may be late
by any time. So the lease of the server ends before the main process reports the loss, without a common clock.
In between, the guardian on its machine, which holds the same deadline, kills the work.
"""

from __future__ import annotations

from collections.abc import Callable

from lightning_lite.runners.processes.guardian import read_clock

__all__ = ["LOSS", "Lease", "read_clock"]

#: Leases of silence after which the main process reports the loss of a work.
LOSS = 1.5


class Lease:
    """The lease that a server holds.

    Args:
        seconds: Its length.
        clock: Returns the time in seconds; it has to include the time of suspension.

    Attributes:
        deadline: When it ends, on that clock.

    Example:
        >>> now = 100.0
        >>> lease = Lease(10.0, lambda: now)
        >>> answer = lease.note_answer()
        >>> now = 108.0
        >>> lease.renew(answer)  # heard late: it counts from the answer
        110.0
        >>> now = 110.0
        >>> lease.is_over()
        True
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = read_clock) -> None:
        self._seconds = seconds
        self._clock = clock
        self._sent: dict[int, float] = {}
        self._last = 0
        self.deadline = clock() + seconds

    def note_answer(self) -> int:
        """Return the number of an answer that leaves now."""
        self._last += 1
        self._sent[self._last] = self._clock()
        return self._last

    def renew(self, answer: int) -> float:
        """Prolong the lease: the main process has got an answer; return the new deadline."""
        sent = self._sent.get(answer)
        if sent is not None:
            self.deadline = max(self.deadline, sent + self._seconds)
            self._sent = {number: at for number, at in self._sent.items() if number >= answer}
        return self.deadline

    def is_over(self) -> bool:
        """Return whether it has ended."""
        return self._clock() >= self.deadline
