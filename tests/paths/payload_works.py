"""Works that make and use payloads. Their processes import this module, so it is light."""

from __future__ import annotations

import os
import pathlib
import re

from lightning_lite import LightningWork
from lightning_lite.storage import Payload

MIB = 1024 * 1024


class Make(LightningWork):
    """Makes an object and passes it on."""

    def __init__(self, **options):
        super().__init__(**options)
        self.data = None

    def run(self, make, number=0):
        self.data = Payload(make())


class Use(LightningWork):
    """Applies a function to an object, from its argument or its attribute."""

    def __init__(self, **options):
        super().__init__(**options)
        self.data = None
        self.runs = 0

    def run(self, use, data=None, number=0):
        self.runs += 1
        return use((self.data if data is None else data).value)


class Model:
    """A class of a module that the process of a work cannot import."""

    def __init__(self, weights):
        self.weights = weights


class Deep(LightningWork):
    def run(self, nested):
        return sum(nested["here"][0].value)


class Anonymous(LightningWork):
    """Reads a big array, changes a part of it, and returns how much private memory that took."""

    def run(self, data):
        before = _own_memory()
        array = data.value
        total = int(array[:: 4096 // 8].sum())
        array[0] = 7
        return total, int(array[0]), array.flags.writeable, (_own_memory() - before) // MIB


def _own_memory():
    status = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"RssAnon:\s+(\d+)", status)[1]) * 1024


class Folder(Payload):
    """Saves itself as a folder of text files."""

    def save(self, obj, path):
        os.mkdir(path)
        for name, text in obj.items():
            pathlib.Path(path, name).write_text(text)

    def load(self, path):
        return {file.name: file.read_text() for file in pathlib.Path(path).iterdir()}


class MakeFolder(LightningWork):
    def __init__(self):
        super().__init__()
        self.data = None

    def run(self):
        self.data = Folder({"a": "1", "b": "2"})


class Dies(LightningWork):
    """Dies while it writes its second object."""

    def __init__(self):
        super().__init__(raise_exception=False)
        self.data = None

    def run(self, deadly):
        self.data = Deadly(deadly) if deadly else Payload("whole")


class Deadly(Payload):
    def save(self, obj, path):
        pathlib.Path(path).write_text("half")
        os.kill(os.getpid(), 9)
