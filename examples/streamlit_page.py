"""A work draws a page with Streamlit while another one trains: `python streamlit_page.py stay` keeps it."""

import sys

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.components import ServeStreamlit


class Train(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.losses: list[float] = []

    def run(self) -> None:
        for epoch in range(1, 31):
            self.losses = [*self.losses, 1 / epoch]


class Page(ServeStreamlit):
    """The flow sets `losses`; a visitor sets `goal`. The page is drawn again when one of them changes."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.losses: list[float] = []
        self.goal = 0.1

    def render(self) -> None:
        import streamlit  # noqa: PLC0415 - only the process of the page needs it

        streamlit.title(f"{len(self.losses)} epochs")
        streamlit.line_chart(self.losses)
        goal = streamlit.slider("Goal", 0.0, 1.0, self.goal)
        if goal != self.goal:
            self.goal = goal
        below = sum(loss < self.goal for loss in self.losses)
        streamlit.write(f"{below} of them are below the goal.")


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.train, self.page = Train(), Page()

    def run(self) -> None:
        self.page.run()
        self.train.run()
        self.page.losses = self.train.losses
        if "stay" not in sys.argv and self.page.ready and self.train.has_succeeded:
            self.stop(f"The page has shown {len(self.page.losses)} losses.")

    def configure_layout(self) -> list[dict[str, object]]:
        return [{"name": "Training", "content": self.page}]


LightningApp(Root()).run()
