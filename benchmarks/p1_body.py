"""The work of P1, in a module that a process imports quickly: the import counts."""

from __future__ import annotations

import time

from lightning_lite import LightningWork


class Body(LightningWork):
    """Says when its `run` was entered."""

    def run(self) -> float:
        """Return the moment, on the clock that all processes share."""
        return time.monotonic()
