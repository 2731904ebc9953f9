"""Shows a page of Streamlit and two of Panel; `app.run()` is at the top level, as users have written it."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import lightning_lite.lightning  # noqa: F401 - it lets the names below lead to this package

# isort: split
from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.frontend import PanelFrontend, StreamlitFrontend

PAGE = Path("page.py")
PAGE.write_text("import panel as pn\npn.panel('The file of a page').servable(title='The file of a page')\n")

ARGUMENT = sys.argv[1]


def draw(state):
    import streamlit  # noqa: PLC0415 - as users write it

    streamlit.title(f"Streamlit shows {ARGUMENT} and {state.number}")
    if streamlit.button("Add"):
        state.number += 1
        streamlit.rerun()


def make_page():
    import panel  # noqa: PLC0415

    return panel.template.BootstrapTemplate(title="Panel shows " + ARGUMENT)


class Page(LightningFlow):
    def __init__(self, make):
        super().__init__()
        self._make = make
        self.number = 41

    def configure_layout(self):
        return self._make()


class Waiting(LightningWork):
    def run(self):
        threading.Event().wait()


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.streamlit = Page(lambda: StreamlitFrontend(draw))
        self.panel = Page(lambda: PanelFrontend(make_page))
        self.file = Page(lambda: PanelFrontend("page.py"))
        self.waiting = Waiting()

    def run(self):
        self.waiting.run()

    def configure_layout(self):
        return [
            {"name": "Streamlit", "content": self.streamlit},
            {"name": "Panel", "content": self.panel},
            {"name": "File", "content": self.file},
        ]


app = LightningApp(Root())
app.run()
