"""A work that prints, then fails, dies or waits. Its process imports this module, so it is light."""

from __future__ import annotations

import os
import signal
import threading

from lightning_lite import LightningWork

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 60


class Talker(LightningWork):
    def run(self, *lines: str) -> None:
        for line in lines:
            print(line)  # noqa: T201 - as works do
            if line == "fail":
                raise ValueError("no more")
            if line == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            if line == "wait":
                threading.Event().wait(DEADLINE)
