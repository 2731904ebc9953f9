"""Works with big arguments and answers. Their processes import this module, so it is light."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import numpy

from lightning_lite import LightningWork
from lightning_lite.context import current_caller


class Maker(LightningWork):
    """Makes values of the given size."""

    def run(self, size: int, kind: str = "array") -> object:
        data = bytes(range(256)) * (size // 256)
        array = numpy.frombuffer(data, "u1").reshape(-1, 256).copy()
        return {
            "array": array,
            "bytes": data,
            "text": data.decode("latin-1"),
            "nested": {"a": [array, 2 * array], "b": "text"},
            "list": list(range(size // 7)),
        }[kind]


class Taker(LightningWork):
    """Describes its argument, or returns it."""

    def run(self, value: Any, back: bool = False) -> Any:
        if back:
            return value
        try:
            value[0, 0] = 1
        except ValueError as error:
            return int(value.sum()), str(error)
        return int(value.sum()), "writable"


class Failing(LightningWork):
    """Fails in its first attempt."""

    def run(self, value: Any, marker: str) -> int:
        if not os.path.exists(marker):
            Path(marker).touch()
            os._exit(3)
        return int(value.sum())


class Stuck(LightningWork):
    """Leaves half a file, as a writer that is killed, and never ends."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.is_up = False

    def run(self, value: object) -> None:
        folder = current_caller().values
        assert folder is not None
        Path(folder, f"{os.getpid()}-00.val.new").write_bytes(b"half")
        self.is_up = True
        threading.Event().wait()
