"""The work of P3, in a module that brings nothing else into its process."""

from __future__ import annotations

import os

from lightning_lite import LightningWork


class Idler(LightningWork):
    """Says which process it is, and waits for the next call."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.pid = 0

    def run(self) -> None:
        """Say which process this is."""
        self.pid = os.getpid()
