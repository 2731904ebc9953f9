"""An app with all kinds of state, until there is a file `end`; with a file `busy`, its passes take long."""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.storage import Drive
from lightning_lite.structures import List


class Wait(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.5
        self.seen = 0.0

    def run(self) -> None:
        while not os.path.exists("end"):
            self.seen = self.rate
            threading.Event().wait(0.02)


class Other(LightningWork):
    def run(self) -> None:
        pass


class Inner(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.text = "x"

    def run(self) -> None:
        pass

    def configure_layout(self) -> list[dict[str, str]]:
        return [{"name": "Deep", "content": "https://docs.example/deep"}]


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.seen = 0
        self.pair = (1, "two")
        self.ratio = float("nan")
        self.counted = Counter("aa")
        self.drive = Drive("lit://shared")
        self.inner = Inner()
        self.wait = Wait()
        self.several = List(Other(), Other())
        self._private = 1

    def configure_layout(self) -> list[dict[str, object]]:
        return [
            {"name": "Manual", "content": "https://docs.example/manual"},
            {"name": "Inner", "content": self.inner},
        ]

    def run(self) -> None:
        while self.number != self.seen and os.path.exists("busy"):
            Path("is_busy").touch()
            threading.Event().wait(0.02)
        self.seen = self.number
        self.wait.run()
        self.stop()


if __name__ == "__main__":
    LightningApp(Root()).run()
