"""Stores files and objects outside of drives: for `Path`, `Payload` and `FileSystem`.

<root>/drives/.paths/<work>/<absolute path>              files of `Path`
<root>/drives/.payloads/<work>/<attribute>/<version>     objects of `Payload`
<root>/drives/.files/files/<path>                        files of `FileSystem`

In a group root, <root> is here the private root of the user, <root>/users/<uid>.

The id of a `Drive` cannot begin with a dot, so no drive can have one of these names.
"""

from __future__ import annotations

import os
import pathlib
import re
from typing import Literal

from lightning_lite.context import current_caller
from lightning_lite.settings import resolve_durable, resolve_root
from lightning_lite.storage.base import Destination, Parts, Source
from lightning_lite.storage.errors import DriveIsDirectory, DriveNotADirectory
from lightning_lite.storage.names import (
    RESERVED,
    PathLike,
    check_length,
    check_names,
    check_part,
    path_text,
)
from lightning_lite.storage.stores import open_private_store

#: Bytes of a name that are not UTF-8, as Python represents them.
_UNDECODED = re.compile("[\udc80-\udcff]")


class Artifacts:
    """One of the three places that the module names.

    Args:
        name: Which of them.
        root: Absolute folder that holds all drives; by default that of the code that calls.

    Attributes:
        root: That folder.
        store: The store that keeps the files. In a group root it is in the private root of this user: another
            user neither reads nor writes it.

    Raises:
        DriveRefused: Another user could have written into the root.
    """

    def __init__(self, name: Literal[".paths", ".payloads", ".files"], root: str | None = None) -> None:
        self.root = root or resolve_root(current_caller().root)
        self.store = open_private_store(self.root, name)

    def keep(self, owner: str, parts: Parts, path: str, *, move: bool = False) -> None:
        """Store the file or folder at `path`, and replace what `owner` had there, a file or a folder.

        Args:
            owner: Work that owns it.
            parts: Path in the store.
            path: Absolute path of the file or folder.
            move: Whether it may be removed, so that it need not be copied.
        """
        source = Source(path, "/", follow_symlinks=True, check=_check)
        try:
            self._put(owner, parts, source, move=move)
        except (DriveIsDirectory, DriveNotADirectory):
            self._remove_other_kind(owner, parts)
            self._put(owner, parts, source, move=move)

    def has(self, owner: str, parts: Parts) -> bool:
        """Return whether `owner` has something at `parts`."""
        return owner in self.store.owners(parts)

    def _put(self, owner: str, parts: Parts, source: Source, *, move: bool) -> None:
        self.store.put(
            owner,
            parts,
            source,
            exclusive=False,
            move=move,
            durable=current_caller().durable or resolve_durable(None),
        )

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


def is_there(path: PathLike) -> bool:
    """Return whether something is at `path`; symbolic links are followed."""
    return pathlib.Path(path).exists()


def _path(parts: Parts) -> str:
    return f"/{'/'.join(parts)}"


def _check(names: list[str], folder: str) -> None:
    check_names(names, folder, portable=False)
