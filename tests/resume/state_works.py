"""Works that change their state as fast as possible. Their processes import this module, so it is light."""

from __future__ import annotations

import os
import threading

from lightning_lite import LightningWork
from lightning_lite.testing import poll_until


class Numbers(LightningWork):
    """Writes numbers to an attribute, a list and a dict as fast as possible."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.last = 0
        self.items: list[int] = []
        self.table: dict[str, int] = {}

    def run(self, count: int) -> None:
        for number in range(1, count + 1):
            self.last = number
            if not number % 50:
                self.items.append(number)
                self.table[str(number % 7)] = number


class Heavy(LightningWork):
    """Replaces a text of `nbytes` characters repeatedly."""

    def __init__(self, nbytes: int) -> None:
        super().__init__(parallel=True, raise_exception=False, cache_calls=False, max_restarts=1000)
        self.block = "0" * nbytes
        self.pid = 0
        self._nbytes = nbytes

    def run(self) -> None:
        self.pid = os.getpid()
        digit = int(self.block[0])
        while True:
            digit = (digit + 1) % 10
            self.block = str(digit) * self._nbytes
            threading.Event().wait(0.001)


class Big(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.numbers = list(range(100_000))
        self.step = 0

    def run(self) -> None:
        for step in range(10_000):
            self.step = step


class Follower(LightningWork):
    """Waits until the flow has written the value `wanted`."""

    def __init__(self, wanted: object) -> None:
        super().__init__(parallel=True)
        self.goal: object = None
        self.done = False
        self._wanted = wanted

    def run(self) -> None:
        poll_until(lambda: self.goal == self._wanted and type(self.goal) is type(self._wanted))
        self.done = True
