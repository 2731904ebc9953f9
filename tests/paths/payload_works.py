"""Works that make and use payloads. Their processes import this module, so it is light."""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Callable

from lightning_lite import LightningWork
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.storage import Payload

if TYPE_CHECKING:
    from typing import Any

MIB = 1024 * 1024


class Make(LightningWork):
    """Makes an object and passes it on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.data: Payload | None = None

    def run(self, make: Callable[[], object], number: int = 0) -> None:
        self.data = Payload(make())


class Returns(LightningWork):
    """Stores an object, and returns the reference to it."""

    def __init__(self) -> None:
        super().__init__()
        self.data: Payload | None = None

    def run(self) -> Payload:
        self.data = Payload([1, 2])
        return self.data


class Use(LightningWork):
    """Applies a function to an object, from its argument or its attribute."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.data: Payload | None = None
        self.runs = 0

    def run(self, use: Callable[[Any], object], data: Payload | None = None, number: int = 0) -> object:
        self.runs += 1
        payload = self.data if data is None else data
        assert payload is not None
        return use(payload.value)


class Model:
    """A class of a module that the process of a work cannot import."""

    def __init__(self, weights: object) -> None:
        self.weights = weights


class Deep(LightningWork):
    def run(self, nested: dict[str, list[Payload]]) -> int:
        return sum(nested["here"][0].value)


class Anonymous(LightningWork):
    """Reads a big array, changes a part of it, and returns how much private memory that took."""

    def run(self, data: Payload) -> tuple[int, int, bool, int]:
        before = _own_memory()
        array = data.value
        total = int(array[:: 4096 // 8].sum())
        array[0] = 7
        return total, int(array[0]), array.flags.writeable, (_own_memory() - before) // MIB


def _own_memory() -> int:
    status = pathlib.Path("/proc/self/status").read_text()
    (size,) = re.findall(r"RssAnon:\s+(\d+)", status)
    return int(size) * 1024


class Folder(Payload):
    """Saves itself as a folder of text files."""

    def save(self, obj: dict[str, str], path: str) -> None:
        os.mkdir(path)
        for name, text in obj.items():
            pathlib.Path(path, name).write_text(text)

    def load(self, path: str) -> dict[str, str]:
        return {file.name: file.read_text() for file in pathlib.Path(path).iterdir()}


class MakeFolder(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.data: Payload | None = None

    def run(self) -> None:
        self.data = Folder({"a": "1", "b": "2"})


class Text(Payload):
    """Saves itself as one file of text."""

    def save(self, obj: str, path: str) -> None:
        pathlib.Path(path).write_text(obj)

    def load(self, path: str) -> str:
        return pathlib.Path(path).read_text()


class MakeText(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.data: Payload | None = None

    def run(self) -> None:
        self.data = Text("abc")


class Dies(LightningWork):
    """Dies while it writes its second object."""

    def __init__(self) -> None:
        super().__init__(raise_exception=False)
        self.data: Payload | None = None

    def run(self, deadly: object) -> None:
        self.data = Deadly(deadly) if deadly else Payload("whole")


class Deadly(Payload):
    def save(self, obj: object, path: str) -> None:
        pathlib.Path(path).write_text("half")
        os.kill(os.getpid(), 9)
