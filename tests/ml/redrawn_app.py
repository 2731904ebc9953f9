"""A page of Streamlit and one of Panel show what a work does; nothing but the work changes it."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import lightning_lite.lightning  # noqa: F401 - it lets the names below lead to this package

# isort: split
from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.frontend import PanelFrontend, StreamlitFrontend
from lightning.app.frontend.panel import AppStateWatcher


def draw(state):
    import streamlit  # noqa: PLC0415 - as users write it

    streamlit.set_page_config(page_title="Redrawn")
    with open("draws.txt", "a") as file:
        file.write("x")
    streamlit.title(f"Streamlit shows {state.source.read}")
    if streamlit.text_input("Name") == "stop":
        streamlit.stop()


def make_page():
    import panel  # noqa: PLC0415

    watcher = AppStateWatcher()

    def show(state):
        return panel.pane.Markdown(f"# Panel shows {state.source.read}")

    return panel.Column(panel.bind(show, watcher.param.state))


class Source(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)
        self.read = ""
        self.unread = 0

    def run(self):
        while True:
            threading.Event().wait(0.05)
            self.unread += 1
            if os.path.exists("text.txt"):
                self.read = Path("text.txt").read_text()


class Page(LightningFlow):
    def __init__(self, make):
        super().__init__()
        self._make = make
        self.source = Source()

    def run(self):
        self.source.run()

    def configure_layout(self):
        return self._make()


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.streamlit = Page(lambda: StreamlitFrontend(draw))
        self.panel = Page(lambda: PanelFrontend(make_page))

    def run(self):
        self.streamlit.run()
        self.panel.run()

    def configure_layout(self):
        return [{"name": "Streamlit", "content": self.streamlit}, {"name": "Panel", "content": self.panel}]


app = LightningApp(Root())
app.run()
