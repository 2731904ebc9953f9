"""The work of P1, in a module that is imported quickly, because the import is measured too."""

from __future__ import annotations

import time

from lightning_lite import LightningWork


class Body(LightningWork):
    """Returns the time at which its `run` was entered."""

    def run(self) -> float:
        """Return the time of the monotonic clock, which is the same in all processes."""
        return time.monotonic()
