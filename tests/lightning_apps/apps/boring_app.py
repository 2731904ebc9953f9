"""A work writes to a `lit://` path, and another one copies the file, in the manner of the oldest examples."""

import os

from lightning.app import LightningApp, LightningFlow, LightningWork
from lightning.app.storage.path import Path


class Source(LightningWork):
    def __init__(self):
        super().__init__()
        self.path = None

    def run(self):
        self.path = "lit://greeting.txt"
        with open(self.path, "w") as file:
            file.write("Good morning!")


class Copy(LightningWork):
    def __init__(self):
        super().__init__()
        self.text = ""

    def run(self, path: Path):
        assert os.path.exists(path)
        with open(path) as file:
            self.text = file.read()


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.source, self.copy = Source(), Copy()

    def run(self):
        self.source.run()
        if self.source.has_succeeded:
            self.copy.run(self.source.path)
        if self.copy.text:
            print(self.copy.text, self.source.path.origin_name)
            self.stop("Boring end")


app = LightningApp(Root())
