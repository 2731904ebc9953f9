"""The work of P3, in a module that imports nothing else."""

from __future__ import annotations

import os

from lightning_lite import LightningWork


class Idler(LightningWork):
    """Reports its process id, and waits for the next call."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.pid = 0

    def run(self) -> None:
        """Store the process id."""
        self.pid = os.getpid()
