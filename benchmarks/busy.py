"""The work of P9 to P11, which computes for ever."""

from __future__ import annotations

import os

from lightning_lite import LightningWork

NUMBER = 8


class Busy(LightningWork):
    """Reports its process id, and computes until it is ended."""

    def __init__(self) -> None:
        super().__init__(parallel=True, raise_exception=False)
        self.pid = 0

    def run(self) -> None:
        """Compute for ever."""
        self.pid = os.getpid()
        while True:
            pass
