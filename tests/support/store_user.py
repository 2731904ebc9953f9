"""Uses a store by text and dicts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lightning_lite.storage.base import Destination, Source, Store

TREE = {"a": "1", "inner": {"b": "2", "empty": {}}}


class User:
    """Puts and gets by text and dicts."""

    def __init__(self, store: Store, here: Path) -> None:
        self.store = store
        self.here = here

    def put(self, path: str, content: object, owner: str = "anna", **options: Any) -> None:
        make(self.here / "source", content)
        source = Source(
            str(self.here / "source"),
            str(self.here),
            follow_symlinks=False,
            check=lambda names, folder: None,
        )
        options = {
            "exclusive": True,
            "move": False,
            "durable": False,
            "on_progress": lambda count: None,
            **options,
        }
        try:
            self.store.put(owner, tuple(path.split("/")), source, **options)
        finally:
            remove(self.here / "source")

    def get(self, path: str, owner: str | None = None) -> object:
        target = Destination(str(self.here), ("target",), overwrite=True)
        self.store.get(tuple(path.split("/")), target, owner=owner, on_progress=lambda count: None)
        content = look(self.here / "target")
        remove(self.here / "target")
        return content

    def delete(self, path: str, owner: str = "anna") -> None:
        self.store.delete(owner, tuple(path.split("/")), durable=False)

    def list(self, path: str = "", owner: str | None = None, recursive: bool = False) -> list[str]:
        parts = tuple(path.split("/")) if path else ()
        names = self.store.names(parts, owner=owner, recursive=recursive)
        entries = self.store.entries(parts, owner=owner, recursive=recursive)
        assert names == sorted({entry.name for entry in entries})
        return names


def make(path: Path, content: object) -> None:
    if isinstance(content, dict):
        path.mkdir()
        for name, inner in content.items():
            make(path / name, inner)
    else:
        path.write_text(str(content))


def look(path: Path) -> object:
    return {inner.name: look(inner) for inner in path.iterdir()} if path.is_dir() else path.read_text()


def remove(path: Path) -> None:
    if path.is_dir():
        for inner in path.iterdir():
            remove(inner)
        path.rmdir()
    elif path.exists() or path.is_symlink():
        path.unlink()
