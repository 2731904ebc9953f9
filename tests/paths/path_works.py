"""Works that make, read and keep files. Their processes import this module, so it is light."""

from __future__ import annotations

import dataclasses
import os
import pathlib
import signal
from collections.abc import Callable
from typing import NamedTuple

from lightning_lite import LightningWork
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.storage import Path
from lightning_lite.storage.fs import syscalls

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


class Declared(LightningWork):
    """Writes the file at the path with which it was made."""

    def __init__(self, path: Path | str) -> None:
        super().__init__()
        self.path: Any = path

    def run(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(type(self.path).__name__)


class Moves(LightningWork):
    """Changes its directory in its run."""

    def __init__(self) -> None:
        super().__init__()
        self.path: Path | None = None

    def run(self) -> None:
        self.path = Path("out.txt")
        self.path.write_text("hello")
        os.mkdir("elsewhere")
        os.chdir("elsewhere")


class Killed(LightningWork):
    """Makes a folder, and is killed at one of the file operations after its run, which keep the folder."""

    def __init__(self) -> None:
        super().__init__(raise_exception=False, max_restarts=1000)
        self.path = Path("folder")

    def run(self, text: str, kill_at: int) -> None:
        os.makedirs("folder", exist_ok=True)
        for name in "ab":
            (self.path / name).write_text(text)
        if not kill_at:
            return
        count = 0

        def counting(operation: Callable[..., Any]) -> Callable[..., Any]:
            def counted(*args: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == kill_at:
                    os.kill(os.getpid(), signal.SIGKILL)
                return operation(*args, **options)

            return counted

        for name in ("open_file", "mkdir", "write", "rename", "exchange", "unlink", "fchmod"):
            setattr(syscalls, name, counting(getattr(syscalls, name)))


class Gets(LightningWork):
    """Gets a folder, and returns the content of its files by name."""

    def run(self, path: Path, number: int) -> list[tuple[str, str]]:
        path.get(to=f"copy{number}")
        return sorted((file.name, file.read_text()) for file in pathlib.Path(f"copy{number}").iterdir())
