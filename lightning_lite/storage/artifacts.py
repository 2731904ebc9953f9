"""Stores files and objects outside of drives: for `Path`, `Payload` and `FileSystem`.

<root>/drives/.paths/<work>/<absolute path>              files of `Path`
<root>/drives/.payloads/<work>/<attribute>/<version>     objects of `Payload`
<root>/drives/.files/files/<path>                        files of `FileSystem`

<root> is where the drives are: a folder or a url. In a group root it is here the private root of the user,
<root>/users/<uid>.

The id of a `Drive` cannot begin with a dot, so no drive can have one of these names.
"""

from __future__ import annotations

import os
import pathlib
import re
from collections.abc import Iterator
from stat import S_ISDIR
from typing import Literal

from lightning_lite.context import current_caller
from lightning_lite.settings import resolve_drives, resolve_durable
from lightning_lite.storage import sync_notes
from lightning_lite.storage.base import Destination, Parts, Source
from lightning_lite.storage.errors import DriveIsDirectory, DriveNotADirectory
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.names import (
    RESERVED,
    PathLike,
    check_length,
    check_names,
    check_part,
    path_text,
)
from lightning_lite.storage.stores import open_private_store
from lightning_lite.store_url import is_url

#: Digits of the time of a file that are compared: seconds since 1970 with more are not exact as `float`.
_DIGITS = 5

#: Bytes of a name that are not UTF-8, as Python represents them.
_UNDECODED = re.compile("[\udc80-\udcff]")


class Artifacts:
    """One of the three places that the module names.

    Args:
        name: Which of them.
        root: Absolute folder or url that holds all drives; by default the folder or url of the caller.

    Attributes:
        root: That folder or url.
        store: The store that keeps the files. In a group root it is in the private root of this user: another
            user neither reads nor writes it.

    Raises:
        DriveRefused: Another user could have written into the root.
    """

    def __init__(self, name: Literal[".paths", ".payloads", ".files"], root: str | None = None) -> None:
        caller = current_caller()
        self.root = root or resolve_drives(caller.drives_root)
        self.store = open_private_store(self.root, name)
        self._durable = None if caller.root is None else caller.durable  # the app has resolved it

    def keep(self, owner: str, parts: Parts, path: str, *, move: bool = False) -> None:
        """Store the file or folder at `path`, and replace the file or folder that `owner` had there.

        Args:
            owner: Work that owns it.
            parts: Path in the store.
            path: Absolute path of the file or folder.
            move: Whether it may be removed, so that it need not be copied.
        """
        source = Source(path, "/", follow_symlinks=True, check=_check)
        before = sync_notes.stamp_of(path) if self._is_noted(parts, path) else None
        try:
            self._put(owner, parts, source, move=move)
        except (DriveIsDirectory, DriveNotADirectory):
            self._remove_other_kind(owner, parts)
            self._put(owner, parts, source, move=move)
        if before is not None:
            sync_notes.remember(self.root, owner, path, before)

    def restore(self, owner: str, parts: Parts, place: str, *, overwrite: bool) -> None:
        """Copy the file or folder of `owner` at `parts` to a path.

        Args:
            owner: Work that owns it.
            parts: Path in the store.
            place: Absolute path for the copy.
            overwrite: Whether an existing file or folder may be replaced.
        """
        self.store.get(parts, destination(place, overwrite=overwrite), owner=owner)
        if self._is_noted(parts, place):
            sync_notes.remember(self.root, owner, place, sync_notes.stamp_of(place))

    def has(self, owner: str, parts: Parts) -> bool:
        """Return whether `owner` has something at `parts`."""
        return owner in self.store.owners(parts)

    def has_other_version(self, owner: str, parts: Parts, path: str) -> bool:
        """Return whether a store on the network has another version than the copy of it at `path`.

        The file or folder at `path` is a copy if it was kept or restored here and nothing in it has changed
        since. Anything else is the user's, and no other version of it.

        Args:
            owner: Work that owns it.
            parts: Path in the store.
            path: Absolute path of the file or folder.
        """
        if not is_url(self.root):
            return False  # the owner and its readers have the same file
        if not sync_notes.is_synced(self.root, owner, path):
            return False
        top = len("/".join(parts))
        stored = {
            (entry.name[top:], entry.size, round(entry.time, _DIGITS))
            for entry in self.store.entries(parts, owner=owner, recursive=True)
        }
        return bool(stored) and stored != set(_files_at(path))

    def _is_noted(self, parts: Parts, path: str) -> bool:
        """Return whether the file at `path` is the copy of a `Path` on a url, which may change."""
        return is_url(self.root) and path == _path(parts)

    def _put(self, owner: str, parts: Parts, source: Source, *, move: bool) -> None:
        if self._durable is None:
            self._durable = resolve_durable(None)
        self.store.put(owner, parts, source, exclusive=False, move=move, durable=self._durable)

    def _remove_other_kind(self, owner: str, parts: Parts) -> None:
        """Remove a file that is in the place of a folder, or a folder that is in the place of a file."""
        for depth in range(len(parts), 0, -1):
            if self.has(owner, parts[:depth]):
                self.store.delete(owner, parts[:depth], durable=False)
                return


def absolute_parts(path: PathLike) -> Parts:
    """Return the parts of an absolute path; the name of the default root is allowed, as in `lit://` paths.

    Bytes that are not UTF-8 are allowed, too: folders of the user above the file may have such names.
    """
    text = path_text(path)
    parts = tuple(part for part in text.split("/") if part)
    for part in parts:
        if part != RESERVED:
            check_part(_UNDECODED.sub("?", part), text, portable=False)
    check_length("/".join(parts))
    return parts


def destination(path: PathLike, *, overwrite: bool) -> Destination:
    """Return the absolute path `path` as the place to which a `get` copies."""
    parts = absolute_parts(path)
    known = max((depth for depth in range(len(parts)) if os.path.isdir(_path(parts[:depth]))), default=0)
    return Destination(_path(parts[:known]), parts[known:], overwrite=overwrite)


def _files_at(path: str, name: str = "") -> Iterator[tuple[str, int, float]]:
    """Yield name, size and time of each file at and below `path`; symbolic links are followed, as by `keep`.

    Args:
        path: Absolute path.
        name: Its path below the first one, with a slash before it.
    """
    found = syscalls.stat(path)
    if not S_ISDIR(found.st_mode):
        yield name, found.st_size, round(found.st_mtime_ns / 1e9, _DIGITS)
        return
    for inner in syscalls.listdir(path):
        yield from _files_at(f"{path}/{inner}", f"{name}/{inner}")


def is_there(path: PathLike) -> bool:
    """Return whether something is at `path`; symbolic links are followed."""
    return pathlib.Path(path).exists()


def _path(parts: Parts) -> str:
    return f"/{'/'.join(parts)}"


def _check(names: list[str], folder: str) -> None:
    check_names(names, folder, portable=False)
