"""Synchronizes attribute values between the flow and the process of one work."""

from __future__ import annotations

import logging

from lightning_lite.tree.outbox import Outbox
from lightning_lite.tree.work import LightningWork

_log = logging.getLogger("lightning_lite")


class StateSync:
    """Exchanges values between the flow and one work, and resolves conflicts.

    The writes of the flow are numbered. Each one is sent with every message until the work confirms it.
    Until then the flow keeps its own value, and discards values that the work sent before it had that one.

    Args:
        work: The work.
        outbox: Receives the event that the work reported new values.

    Attributes:
        newest: Number of the newest write of the flow; 0 if there was none.
    """

    def __init__(self, work: LightningWork, outbox: Outbox) -> None:
        self.newest = 0
        self._work = work
        self._outbox = outbox
        self._name = work.name  # a work that was removed from the tree has none
        self._numbers: dict[str, int] = {}  # attribute → number of its unconfirmed write

    def add(self, names: set[str]) -> None:
        """Register that the flow wrote these attributes."""
        self.newest += 1
        self._numbers |= dict.fromkeys(names, self.newest)

    def unconfirmed(self) -> dict[str, tuple[int, bytes]]:
        """Return the unconfirmed writes: number and encoded value, by attribute."""
        if not self._numbers:
            return {}
        node = self._work._node
        return {name: (number, node.encode(name)) for name, number in self._numbers.items()}

    def take(self, changes: dict[str, bytes], applied: int) -> None:
        """Store the new values of the work, except attributes for which the flow has a newer value.

        Args:
            changes: Encoded values, by attribute.
            applied: Number of the newest write that the work had applied when it sent them.
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
                self._work._node.store_encoded(name, encoded)
            for name in changes.keys() - accepted.keys():
                _log.debug(
                    "%s.%s: the value of the work is discarded, the flow has a newer one", self._name, name
                )
        if self._numbers:
            self._numbers = {name: number for name, number in self._numbers.items() if number > applied}

    def forget(self) -> None:
        """Drop the unconfirmed writes: the next process starts with the current state of the flow."""
        self._numbers.clear()
