"""Shows a folder in a frontend, with a file that waits for `end` in the working directory."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.frontends import StaticWebFrontend


class Waiting(LightningWork):
    def run(self) -> None:
        while not Path("end").exists():
            threading.Event().wait(0.02)


class Site(LightningFlow):
    def configure_layout(self) -> StaticWebFrontend:
        return StaticWebFrontend("site")


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.site = Site()
        self.waiting = Waiting()

    def run(self) -> None:
        self.waiting.run()
        self.stop("end of the app")

    def configure_layout(self) -> list[dict[str, object]]:
        return [{"name": "Site", "content": self.site}]


if __name__ == "__main__":
    LightningApp(Root()).run(ui=False if "--no-ui" in sys.argv else None)
