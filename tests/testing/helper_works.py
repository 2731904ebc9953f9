"""Works of the tests of the helpers. Their processes import this module, so it is light."""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.tree.work import LightningWork

if TYPE_CHECKING:
    from typing import Any


class Square(LightningWork):
    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.seen: int | None = None

    def run(self, x: int) -> int:
        self.seen = x
        if x < 0:
            raise ValueError("negative")
        return x * x
