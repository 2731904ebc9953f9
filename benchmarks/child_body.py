"""The work of `child_cost`, in a module that imports nothing else."""

from __future__ import annotations

import os
import sys
import time

from lightning_lite import LightningWork


class Child(LightningWork):
    """Reports the cost of its process so far, and waits for the next call."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.found: list[float] = []

    def run(self) -> None:
        """Note the process id, the CPU milliseconds since its start, and how many modules were loaded."""
        milliseconds = time.process_time() * 1e3
        ours = sum(name.partition(".")[0] == "lightning_lite" for name in sys.modules)
        self.found = [os.getpid(), milliseconds, ours, len(sys.modules)]
