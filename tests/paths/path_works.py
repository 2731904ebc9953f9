"""Works that make, read and keep files. Their processes import this module, so it is light."""

from __future__ import annotations

import pathlib

from lightning_lite import LightningWork
from lightning_lite.storage import Path


class Make(LightningWork):
    """Makes a file or a folder, and passes its path on."""

    def __init__(self, **options):
        super().__init__(**options)
        self.path = None

    def run(self, text, path="out.txt"):
        self.path = Path(path)
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(text)


class Read(LightningWork):
    """Reads a file, wherever in the arguments its path is, or from its own attribute."""

    def __init__(self, **options):
        super().__init__(**options)
        self.path = None

    def run(self, where=None, number=0):
        path = self.path if where is None else where["paths"][0][number] if isinstance(where, dict) else where
        return str(path), path.read_text(), path.origin_name, path.consumer_name


class Do(LightningWork):
    """Does something once, which a flow would do again in each pass."""

    def run(self, action):
        return action()
