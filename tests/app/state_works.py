"""Apps for tests of `AppState`; each process of a work imports this module."""

from __future__ import annotations

import os
import threading
from typing import Any

from lightning_lite import LightningFlow, LightningWork
from lightning_lite.app_state import AppState
from lightning_lite.storage import Drive
from lightning_lite.structures import Dict


class Wait(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.rate = 0.5

    def run(self) -> None:
        while not os.path.exists("end"):
            threading.Event().wait(0.02)


class Inner(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.text = "x"

    def run(self) -> None:
        pass


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.number = 0
        self.names = ["a"]
        self.drive = Drive("lit://shared")
        self.wait = Wait()
        self.inner = Inner()
        self.several = Dict(one=Inner())

    def run(self) -> None:
        self.wait.run()
        self.stop()


class Reporter(LightningWork):
    """Reads the state of the app in its process, and changes that of its own."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.rate = 1.0

    def run(self) -> tuple[str, str]:
        state, mine = AppState(my_affiliation=()), AppState()
        mine.rate = 2.0
        state.number = 7
        return repr(mine), state.inner.text


class Reported(LightningFlow):
    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.number = 0
        self.inner = Inner()
        self.reporter = Reporter(**options)
        self._answer: tuple[str, str] | None = None

    def run(self) -> None:
        self._answer = self.reporter.run()
        if self._answer is not None and self.number == 7:
            self.stop()
