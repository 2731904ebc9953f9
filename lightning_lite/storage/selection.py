"""Resolves the paths and patterns that a user names to files."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from typing import NamedTuple

from lightning_lite.storage.base import Parts
from lightning_lite.storage.errors import DriveTypeError
from lightning_lite.storage.names import has_magic, path_text
from lightning_lite.storage.user_folder import PathLike, UserFolder

#: What the user said: a path, or several.
Given = PathLike | tuple[PathLike, ...]


class Selection(NamedTuple):
    """What was meant.

    Attributes:
        paths: The paths.
        several: Whether there may be more or fewer than one.
    """

    paths: list[Parts]
    several: bool


def given(path: object) -> Given:
    """Return what the user said, if it is a path or several."""
    if isinstance(path, (str, os.PathLike)):
        return path
    if isinstance(path, Iterable) and not isinstance(path, (bytes, bytearray)):
        return tuple(path)
    raise DriveTypeError(
        f"A name in a drive must be str or Path, or several in a list; got {type(path).__name__}."
    )


def select(
    path: Given, folder: UserFolder, names: Callable[[Parts], list[str]], exists: Callable[[Parts], bool]
) -> Selection:
    """Return the paths that the user means; a path without a pattern need not exist.

    Args:
        path: What the user said. A pattern that exists as a path is that path.
        folder: Folder that local paths refer to.
        names: Returns the paths in a folder.
        exists: Says whether a path exists.
    """
    if isinstance(path, tuple):
        chosen = [select(one, folder, names, exists).paths for one in path]
        return Selection([parts for paths in chosen for parts in paths], several=True)
    parts = folder.parts(path, magic=True)
    if not has_magic(path_text(path)) or exists(parts):
        return Selection([parts], several=False)
    return Selection(expand(parts, names, exists), several=True)


def expand(
    pattern: Parts, names: Callable[[Parts], list[str]], exists: Callable[[Parts], bool]
) -> list[Parts]:
    """Return the paths that a pattern stands for, sorted.

    As in a shell, `*`, `?` and `[...]` stand for characters of one name, and a name that begins with
    a dot is found only by a pattern that does.

    Args:
        pattern: Parts of the pattern.
        names: Returns the paths in a folder.
        exists: Says whether a path exists.

    Example:
        >>> expand(("*.txt",), lambda folder: ["a.txt", "b.csv", ".c.txt"], lambda path: True)
        [('a.txt',)]
    """
    found: list[Parts] = [()]
    for part in pattern:
        if has_magic(part):
            inner = [(folder, tuple(path.split("/"))) for folder in found for path in names(folder)]
            found = [path for folder, path in inner if len(path) > len(folder) and _matches(path[-1], part)]
        else:
            found = [(*path, part) for path in found]
    return sorted(path for path in found if exists(path))


def _matches(name: str, pattern: str) -> bool:
    return fnmatchcase(name, pattern) and (pattern.startswith(".") or not name.startswith("."))
