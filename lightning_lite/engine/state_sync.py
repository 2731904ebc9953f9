"""What a flow and one work write to each other, and which of two values counts."""

from __future__ import annotations

import logging

from lightning_lite.tree.outbox import Outbox
from lightning_lite.tree.work import LightningWork

_log = logging.getLogger("lightning_lite")


class StateSync:
    """Carries values between a flow and one work.

    The flow's writes are numbered, and each is sent again and again until the work confirms it. Until then
    the flow sees its own value, and what the work sent before it had that value is older.

    Args:
        work: The work.
        outbox: Takes the event that the work has new values.

    Attributes:
        newest: Number of the newest write, 0 if there was none.
    """

    def __init__(self, work: LightningWork, outbox: Outbox) -> None:
        self.newest = 0
        self._work = work
        self._outbox = outbox
        self._name = work.name  # out of the tree it has none
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
        return {name: (number, node.encode(self._work, name)) for name, number in self._numbers.items()}

    def take(self, changes: dict[str, bytes], applied: int) -> None:
        """Let the flow see the work's new values, but for those over which it has written something newer.

        Args:
            changes: Encoded values, by attribute.
            applied: Number of the newest write that the work had applied by then.
        """
        if changes:
            numbers = self._numbers
            accepted = changes
            if numbers:
                accepted = {
                    name: encoded for name, encoded in changes.items() if numbers.get(name, 0) <= applied
                }
            if accepted:
                self._outbox.report_state(self._work, accepted)
            for name, encoded in accepted.items():
                self._work._node.store_encoded(self._work, name, encoded)
            for name in changes.keys() - accepted.keys():
                _log.debug("%s.%s: the flow's newer value stays, the work's is dropped", self._name, name)
        if self._numbers:
            self._numbers = {name: number for name, number in self._numbers.items() if number > applied}

    def forget(self) -> None:
        """The process is gone; the next one begins with all that the flow knows."""
        self._numbers.clear()
