"""An app that calls a work again and again."""

from __future__ import annotations

from lightning_lite import LightningApp, LightningFlow, LightningWork


class Echo(LightningWork):
    def run(self, number: int) -> int:
        return number


class Flow(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.echo = Echo()

    def run(self) -> None:
        for number in range(1_000_000):
            self.echo.run(number)


LightningApp(Flow()).run()
