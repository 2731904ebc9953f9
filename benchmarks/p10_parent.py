"""The work of P10g: busy, like that of P10, and the parent of a program."""

from __future__ import annotations

import subprocess

from benchmarks.busy import Busy


class BusyParent(Busy):
    """Reports the process id of its program, and computes until it is ended."""

    def run(self) -> None:
        """Start a program that sleeps for an hour, and compute for ever."""
        with subprocess.Popen(["sleep", "3600"]) as program:
            self.pid = program.pid
            while True:
                pass
