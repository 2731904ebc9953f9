"""A work that sends texts through shared connections. Its process imports this module, so it is light."""

from __future__ import annotations

from lightning_lite import LightningWork


class Holds(LightningWork):
    """Has one private attribute, and sends its argument through the connections in it."""

    def __init__(self, held, **kwargs):
        super().__init__(**kwargs)
        self._held = held

    def run(self, *texts):
        for connection, text in zip(self._held, texts, strict=True):
            connection.send(text)
