"""An app whose page is served; it ends when there is a file `end` in the working directory."""

from __future__ import annotations

import os
import sys
import threading

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Wait(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.progress = 0.5

    def run(self) -> None:
        print("work", os.getpid(), flush=True)  # noqa: T201
        while not os.path.exists("end"):
            threading.Event().wait(0.02)


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.wait = Wait()

    def run(self) -> None:
        self.wait.run()
        if self.wait.has_succeeded:
            self.stop("The end")


if __name__ == "__main__":
    LightningApp(Root()).run(ui=True if "--ui" in sys.argv else None)
