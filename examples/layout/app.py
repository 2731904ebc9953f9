"""Two trials draw their loss into web pages, and the app shows them: `python app.py stay` keeps it."""

import sys
from pathlib import Path
from typing import Any

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.frontends import StaticWebFrontend

PAGE = """<!doctype html><title>{rate}</title><body style="font: 16px system-ui; margin: 2rem">
<h2>Learning rate {rate}: the loss is {loss:.3f}</h2>
<svg width="640" height="220" viewBox="0 -5 640 225"><polyline fill="none" stroke="#3056d3" stroke-width="3"
points="{points}"/></svg></body>"""


class Trial(LightningWork):
    def run(self, rate: float, folder: str) -> float:
        losses = [(1 - rate) ** epoch for epoch in range(33)]
        points = " ".join(f"{epoch * 20},{200 * (1 - loss):.1f}" for epoch, loss in enumerate(losses))
        Path(folder).mkdir(parents=True, exist_ok=True)
        Path(folder, "index.html").write_text(PAGE.format(rate=rate, loss=losses[-1], points=points))
        return losses[-1]


class Report(LightningFlow):
    """Runs one trial, and shows its page."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.folder = f"reports/{rate}"
        self.trial = Trial()

    def run(self) -> float:
        return self.trial.run(self.rate, self.folder)

    def configure_layout(self) -> StaticWebFrontend:
        return StaticWebFrontend(self.folder)


class Reports(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.slow, self.fast = Report(0.05), Report(0.2)

    def run(self) -> list[float]:
        return [self.slow.run(), self.fast.run()]

    def configure_layout(self) -> list[dict[str, Any]]:
        return [{"name": "Slow", "content": self.slow}, {"name": "Fast", "content": self.fast}]


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.reports = Reports()
        self.losses: list[float] = []

    def run(self) -> None:
        self.losses = self.reports.run()
        if "stay" not in sys.argv:
            self.stop(f"The losses are {self.losses[0]:.3f} and {self.losses[1]:.3f}.")

    def configure_layout(self) -> list[dict[str, Any]]:
        return [
            {"name": "Reports", "content": self.reports},
            {"name": "Manual", "content": "https://docs.example/manual"},
        ]


LightningApp(Root()).run()
