"""Works with all kinds of calls. Their processes import this module, so it is light."""

from __future__ import annotations

import os

from lightning_lite import LightningWork
from lightning_lite.testing import poll_until


class Echo(LightningWork):
    def run(self, *args, **kwargs):
        return args, kwargs


class Pid(LightningWork):
    def run(self):
        return os.getpid()


class Counter(LightningWork):
    """Counts its runs in its state, in place as well."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.total = 0
        self.history = []

    def run(self, step):
        self.total += step
        self.history.append(step)
        return self.total


class Dies(LightningWork):
    def run(self, how):
        if how == "exit":
            os._exit(3)
        if how == "signal":
            os.kill(os.getpid(), 9)
        raise ArithmeticError("no such number")


class Waits(LightningWork):
    """Runs until the file is there."""

    def run(self, path):
        poll_until(lambda: os.path.exists(path))


class Gives(LightningWork):
    """Gives random bytes, or its argument."""

    def run(self, number, size=0):
        return os.urandom(size) or number
