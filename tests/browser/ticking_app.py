"""An app that goes on until it is ended: it prints lines, changes its state and makes calls all the time."""

from __future__ import annotations

import threading
import time

from lightning_lite import LightningApp, LightningFlow, LightningWork

#: Seconds between two lines, and of a call: the page asks less often, so it never waits for the app.
PERIOD = 0.1


class Tick(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True, raise_exception=False, retries=5, retry_delay=0.05)
        self.moment = 0.0
        self.progress = 0.25

    def run(self) -> None:
        while True:
            self.moment = time.time()
            print(f"tick at {self.moment:.3f}", flush=True)  # noqa: T201
            threading.Event().wait(PERIOD)


class Step(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)

    def run(self, number: int) -> int:
        threading.Event().wait(PERIOD)
        return number


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.tick = Tick()
        self.step = Step()
        self.number = 1

    def run(self) -> None:
        self.tick.run()
        if self.step.run(self.number) is not None:
            self.number += 1


if __name__ == "__main__":
    LightningApp(Root()).run()
