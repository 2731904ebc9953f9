"""An app whose work hangs in its first attempt, on the second node of the cluster of the tests."""

from __future__ import annotations

import os
import sys
import threading

from lightning_lite import CloudCompute, LightningApp, LightningFlow, LightningWork


class Slow(LightningWork):
    def run(self, path: str) -> int:
        with open(path, "a") as file:
            file.write(f"{os.getpid()}\n")
        with open(path) as file:
            attempt = len(file.readlines())
        if attempt == 1:
            threading.Event().wait(600)
        return attempt


class Other(LightningWork):
    def run(self) -> int:
        return os.getpid()


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.slow = Slow(retries=1, parallel=True, cloud_compute=CloudCompute("second"))
        self.other = Other(retries=1)  # it may be on that node, too

    def run(self) -> None:
        attempt = self.slow.run(sys.argv[1])
        self.other.run()
        if attempt is not None:
            sys.stdout.write(f"answer {attempt}\n")
            self.stop("done")


LightningApp(Flow()).run()
