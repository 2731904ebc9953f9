"""A page of Streamlit that a work draws; a second work changes the shown values, as a file says."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import streamlit

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.components import ServeStreamlit


class Page(ServeStreamlit):
    factor = 2

    def __init__(self):
        super().__init__(parallel=True)
        self.number = 1
        self.items = ["Ada"]  # a method of AppState has this name
        self._unit = "m"

    @property
    def doubled(self):
        return self.number * self.factor

    def build_model(self):
        with open("built.txt", "a") as file:
            file.write(f"{os.getpid()}\n")
        return "Model of {}"

    def describe(self):
        return f"{self.model.format(', '.join(self.items))}: {self.doubled} {self._unit}"

    def render(self):
        streamlit.title(self.describe())
        if streamlit.button("Add"):
            self.items = [*self.items, "Bob"]


class Number(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)
        self.number = 1

    def run(self):
        while True:
            threading.Event().wait(0.05)
            self.number = int(Path("number.txt").read_text())


def write(name, text):
    """Write a file that the test waits for, at once."""
    Path(f"{name}.new").write_text(text)
    os.replace(f"{name}.new", name)


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.page, self.number = Page(), Number()

    def run(self):
        self.page.run()
        self.number.run()
        if self.page.number != self.number.number:
            self.page.number = self.number.number
        if self.page.ready:
            write("url.txt", self.page.url)
        if "Bob" in self.page.items:
            write("names.txt", ",".join(self.page.items))
        if self.number.number == 0:
            self.page.stop()
            if self.page.has_stopped:
                self.stop("The page has stopped.")


LightningApp(Root()).run()
