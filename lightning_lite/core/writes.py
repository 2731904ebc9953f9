"""What the flow wrote to one work and the work has not confirmed yet."""

from __future__ import annotations

from lightning_lite.core.work import LightningWork


class FlowWrites:
    """The flow's writes to a work, numbered; each is sent again and again until the work confirms it.

    Until then the flow sees its own value, and what the work sent before it had that value is older.

    Args:
        work: The work.

    Attributes:
        newest: Number of the newest write, 0 if there was none.
    """

    def __init__(self, work: LightningWork) -> None:
        self.newest = 0
        self._work = work
        self._numbers: dict[str, int] = {}  # attribute → number of the write, in order

    def add(self, names: set[str]) -> None:
        """Enter that the flow wrote these attributes."""
        self.newest += 1
        self._numbers |= dict.fromkeys(names, self.newest)

    def unconfirmed(self) -> dict[str, tuple[int, bytes]]:
        """Return number and frozen value of what is not confirmed, by attribute."""
        if not self._numbers:
            return {}
        node = self._work._node
        return {name: (number, node.freeze(self._work, name)) for name, number in self._numbers.items()}

    def newer_than(self, applied: int) -> set[str]:
        """Return the attributes that the flow wrote after the work had applied write `applied`."""
        return {name for name, number in self._numbers.items() if number > applied}

    def confirm(self, applied: int) -> None:
        """The work has applied all writes up to this number."""
        if self._numbers:
            self._numbers = {name: number for name, number in self._numbers.items() if number > applied}

    def forget(self) -> None:
        """The process is gone; the next one begins with all that the flow knows."""
        self._numbers.clear()
