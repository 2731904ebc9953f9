"""Works with all kinds of calls. Their processes import this module, so it is light."""

from __future__ import annotations

import os

from lightning_lite import LightningWork
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.testing import poll_until

if TYPE_CHECKING:
    from typing import Any


class Echo(LightningWork):
    def run(self, *args: Any, **kwargs: Any) -> object:
        return args, kwargs


class Pid(LightningWork):
    def run(self) -> int:
        return os.getpid()


class Counter(LightningWork):
    """Counts its runs in its state, in place as well."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.total = 0
        self.history: list[int] = []

    def run(self, step: int) -> int:
        self.total += step
        self.history.append(step)
        return self.total


class Dies(LightningWork):
    def run(self, how: str) -> None:
        if how == "exit":
            os._exit(3)
        if how == "signal":
            os.kill(os.getpid(), 9)
        raise ArithmeticError("no such number")


class Waits(LightningWork):
    """Runs until the file is there."""

    def run(self, path: str) -> None:
        poll_until(lambda: os.path.exists(path))


class Gives(LightningWork):
    """Gives random bytes, or its argument."""

    def run(self, number: object, size: int = 0) -> object:
        return os.urandom(size) or number


class Takes(LightningWork):
    """Takes bytes, and gives random ones."""

    def run(self, data: bytes, size: int) -> bytes:
        return os.urandom(size)
