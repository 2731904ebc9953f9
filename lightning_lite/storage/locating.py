"""`lit://` texts, and the paths in a root that they stand for."""

from __future__ import annotations

from pathlib import PurePath

from lightning_lite.context import current_caller
from lightning_lite.settings import resolve_root
from lightning_lite.storage import disk
from lightning_lite.storage.folders import PathLike
from lightning_lite.storage.names import PROTOCOL, path_parts

_FOLDER = "paths"


def is_located(segment: PathLike) -> bool:
    """Return whether a segment of a path is a `lit://` text."""
    return isinstance(segment, str) and segment.startswith(PROTOCOL)


def place_of(segment: PathLike) -> PathLike:
    """Return where in the file system a `lit://` text points to; others are what they are."""
    if not is_located(segment):
        return segment
    parts = path_parts(str(segment).removeprefix(PROTOCOL), portable=False)
    return "/".join((resolve_root(current_caller().root), _FOLDER, *parts))


def text_of(path: PurePath, guess: str | None) -> str | None:
    """Return the `lit://` text that stands for a path, `None` if there is none.

    Args:
        path: Absolute.
        guess: A root in which it may be, beside those of the app and of the environment.
    """
    for root in filter(None, (guess, current_caller().root, resolve_root(None))):
        if path.is_relative_to(f"{root}/{_FOLDER}"):
            return PROTOCOL + str(path.relative_to(f"{root}/{_FOLDER}"))
    return None


def names_drive(text: str | None) -> bool:
    """Return whether there is a drive that has this text as its id."""
    name = (text or "").removeprefix(PROTOCOL)
    folder = f"{resolve_root(current_caller().root)}/drives/{name}"
    return bool(name) and "/" not in name and disk.look(folder) is not None
