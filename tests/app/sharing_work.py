"""A work that sends texts through shared connections. Its process imports this module, so it is light."""

from __future__ import annotations

from collections.abc import Sequence

from lightning_lite import LightningWork
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


class Holds(LightningWork):
    """Has one private attribute, and sends its argument through the connections in it."""

    def __init__(self, held: Sequence[Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._held = held

    def run(self, *texts: str) -> None:
        for connection, text in zip(self._held, texts, strict=True):
            connection.send(text)
