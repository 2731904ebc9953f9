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
        unconfirmed: The unconfirmed writes: number and encoded value, by attribute. A message may hold this
            dict, so it is replaced and never changed.
    """

    def __init__(self, work: LightningWork, outbox: Outbox) -> None:
        self.newest = 0
        self.unconfirmed: dict[str, tuple[int, bytes]] = {}
        self._work = work
        self._outbox = outbox
        self._name = work.name  # a work that was removed from the tree has none

    def add(self, names: set[str]) -> None:
        """Register that the flow wrote these attributes."""
        self.newest += 1
        node = self._work._node
        written = {name: (self.newest, node.encode(name)) for name in names}
        self.unconfirmed = self.unconfirmed | written

    def take(self, changes: dict[str, bytes], applied: int) -> None:
        """Store the new values of the work, except attributes for which the flow has a newer value.

        Args:
            changes: Encoded values, by attribute.
            applied: Number of the newest write that the work had applied when it sent them.
        """
        unconfirmed = self.unconfirmed
        accepted = changes
        if unconfirmed:
            accepted = {
                name: encoded
                for name, encoded in changes.items()
                if name not in unconfirmed or unconfirmed[name][0] <= applied
            }
            self.unconfirmed = {name: write for name, write in unconfirmed.items() if write[0] > applied}
        if accepted:
            self._outbox.report_state(self._work, accepted)
        for name, encoded in accepted.items():
            self._work._node.store_encoded(name, encoded)
        for name in changes.keys() - accepted.keys():
            _log.debug(
                "%s.%s: the value of the work is discarded, the flow has a newer one", self._name, name
            )

    def forget(self) -> None:
        """Drop the unconfirmed writes: the next process starts with the current state of the flow."""
        self.unconfirmed = {}
