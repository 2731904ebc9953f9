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

#: The argument of the user: a path, or several.
Given = PathLike | tuple[PathLike, ...]


class Selection(NamedTuple):
    """The paths that an argument stands for.

    Attributes:
        paths: The paths.
        several: Whether the argument may stand for more or fewer than one path.
    """

    paths: list[Parts]
    several: bool


def given(path: object) -> Given:
    """Return the argument of the user, if it is a path or several paths."""
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
    """Return the paths that the argument stands for; a path that is not a pattern need not exist.

    Args:
        path: Argument of the user. A pattern that exists as a path is that path.
        folder: Folder to which local paths refer.
        names: Returns the paths in a folder.
        exists: Returns whether a path exists.
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
    """Return the paths that match a pattern, sorted.

    As in a shell, `*`, `?` and `[...]` match characters of one name, and a name that begins with
    a dot matches only a pattern that begins with one.

    Args:
        pattern: Parts of the pattern.
        names: Returns the paths in a folder.
        exists: Returns whether a path exists.

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
