"""Works with big arguments and answers. Their processes import this module, so it is light."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from lightning_lite import LightningWork
from lightning_lite.context import current_caller
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy


def files() -> list[Path]:
    """Return the files of values of all runs."""
    return sorted(Path(os.environ["LIGHTNING_LITE_ROOT"], "runs").glob("*/values/*"))


def _mapped(numpy: Any, array: Any) -> Any:
    numpy.save("array.npy", array)
    return numpy.load("array.npy", mmap_mode="r")


#: Arrays whose content NumPy puts into the pickle, made of another one, by kind.
ARRAYS: dict[str, Callable[[Any, Any], Any]] = {
    "datetime64": lambda numpy, array: array.view("datetime64[s]"),
    "timedelta64": lambda numpy, array: array.view("timedelta64[ms]"),
    "in Fortran's order": lambda numpy, array: numpy.asfortranarray(array.view("datetime64[s]")),
    "with fields": lambda numpy, array: array.view([("a", "datetime64[s]"), ("b", "f8")]),
    "not contiguous": lambda numpy, array: array.repeat(2, axis=1)[:, ::2],
    "memmap": _mapped,
    "many": lambda numpy, array: {f"layer {n}": part for n, part in enumerate(numpy.split(array, 32))},
}


class Maker(LightningWork):
    """Makes values of the given size."""

    def run(self, size: int, kind: str = "array") -> object:
        if kind == "list":
            return list(range(size // 7))
        data = bytes(range(256)) * (size // 256)
        if kind == "bytes":
            return data
        if kind == "text":
            return data.decode("latin-1")
        import numpy  # noqa: PLC0415 - 80 ms; only the processes of works with arrays need it

        array = numpy.frombuffer(data, "u1").reshape(-1, 256).copy()
        if kind in ARRAYS:
            return ARRAYS[kind](numpy, array)
        return array if kind == "array" else {"a": [array, 2 * array], "b": "text"}


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
    """Fails in its first attempt, and returns the length of its argument in the next."""

    def run(self, value: Any, marker: str) -> int:
        if not os.path.exists(marker):
            Path(marker).touch()
            os._exit(3)
        return len(value)


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


class Looking(LightningWork):
    """Returns its argument, and the files that there are while its call runs."""

    def run(self, value: Any) -> object:
        kind = "text" if type(value) is str else type(value).__name__
        inodes = {path.stat().st_ino for path in files()}
        return kind, len(value), value[-1], len(files()), len(inodes)


class Compares(LightningWork):
    """Says which of its arguments are the same object."""

    def run(self, first: dict[str, object], second: dict[str, object], item: object) -> tuple[bool, bool]:
        return first is second, first["a"] is item


class LooksAtArray(LightningWork):
    """Returns what an array is, and that a write to it is refused."""

    def run(self, value: Any) -> object:
        array = value if type(value) is not dict else value["layer 3"]
        inodes = {path.stat().st_ino for path in files()}
        return type(array).__name__, array.dtype, array.shape, array.flags.writeable, len(inodes)


class Split(LightningWork):
    """Returns one array of 4 MiB and two of 2."""

    def run(self) -> list[numpy.ndarray]:
        import numpy  # noqa: PLC0415 - as in `Maker`

        return [numpy.full(size * 1024 * 1024, size, "u1") for size in (4, 2, 2)]
