"""Works that make, read and keep files. Their processes import this module, so it is light."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable
from typing import NamedTuple

from lightning_lite import LightningWork
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.storage import Path

if TYPE_CHECKING:
    from typing import Any


class Make(LightningWork):
    """Makes a file or a folder, and passes its path on."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.path: Path | None = None

    def run(self, text: str, path: str = "out.txt") -> None:
        self.path = Path(path)
        pathlib.Path(path).parent.mkdir(parents=True, exist_ok=True)
        pathlib.Path(path).write_text(text)


class Read(LightningWork):
    """Reads a file, wherever in the arguments its path is, or from its own attribute."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.path: Path | None = None

    def run(
        self, where: Path | dict[str, Any] | None = None, number: int = 0
    ) -> tuple[str, str, str | None, str | None]:
        path = self.path if where is None else where["paths"][0][number] if isinstance(where, dict) else where
        assert path is not None
        return str(path), path.read_text(), path.origin_name, path.consumer_name


@dataclasses.dataclass
class Record:
    path: object


class Row(NamedTuple):
    path: object


class Plain:
    def __init__(self, path: Path) -> None:
        self.path = path


class ReadInside(LightningWork):
    """Reads a file whose path is in an object of a class."""

    def run(self, item: Any, padding: bytes = b"") -> tuple[str, str, str, str | None]:
        return type(item).__name__, str(item.path), item.path.read_text(), item.path.consumer_name


class Do(LightningWork):
    """Does something once, which a flow would do again in each pass."""

    def run(self, action: Callable[[], object]) -> object:
        return action()
