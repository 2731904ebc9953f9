"""Works of the tests of the helpers. Their processes import this module, so it is light."""

from __future__ import annotations

from lightning_lite.tree.work import LightningWork


class Square(LightningWork):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.seen = None

    def run(self, x):
        self.seen = x
        if x < 0:
            raise ValueError("negative")
        return x * x
