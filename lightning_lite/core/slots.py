"""How many works run a call at once."""

from __future__ import annotations


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
