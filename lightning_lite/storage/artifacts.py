"""Stores files and objects outside of drives: for `Path`, `Payload` and `FileSystem`.

<root>/drives/.paths/<work>/<absolute path>              files that works hand on
<root>/drives/.payloads/<work>/<attribute>/<version>     objects that works hand on
<root>/drives/.files/files/<path>                        files of nobody
<root>/drafts/                                           objects that are being written

No `Drive` can have an id that begins with a dot, so nobody comes upon them by accident.
"""

from __future__ import annotations

import os
import pathlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Literal

from lightning_lite.context import current_caller
from lightning_lite.settings import resolve_durable, resolve_root
from lightning_lite.storage.base import Parts, Source
from lightning_lite.storage.errors import DriveIsDirectory, DriveNotADirectory
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.symlinks import Bounds
from lightning_lite.storage.local.delivery import Destination
from lightning_lite.storage.local.layout import CLOSED
from lightning_lite.storage.local.staging import Aside
from lightning_lite.storage.local.store import LocalStore
from lightning_lite.storage.names import RESERVED, check_length, check_names, check_part, path_text
from lightning_lite.storage.user_folder import PathLike


class Artifacts(LocalStore):
    """One of the places above.

    Args:
        name: Which one.
        root: Absolute folder that holds everything; that of whoever runs this code, if not given.
    """

    def __init__(self, name: Literal[".paths", ".payloads", ".files"], root: str | None = None) -> None:
        self.root = root or resolve_root(current_caller().root)
        super().__init__(self.root, name)

    def keep(self, owner: str, parts: Parts, path: str, *, move: bool = False) -> None:
        """Store the file or folder at absolute `path`, whatever `owner` had in its place before.

        Args:
            owner: Work that it belongs to.
            parts: Where.
            path: Where it is now.
            move: Whether it may be used up.
        """
        put = partial(
            self.put,
            owner,
            parts,
            Source(path, Bounds("/", self.root, follow_symlinks=True), _admit),
            exclusive=False,
            move=move,
            durable=current_caller().durable or resolve_durable(None),
            told=untold,
        )
        try:
            put()
        except (DriveIsDirectory, DriveNotADirectory):
            self._clear(owner, parts)
            put()

    def has(self, owner: str, parts: Parts) -> bool:
        """Return whether `owner` has something at `parts`."""
        return owner in self.owners(parts)

    def path(self, owner: str, parts: Parts) -> str:
        """Return where the file or folder lies, to be read there."""
        return "/".join((self._layout.space(owner), *parts))

    @contextmanager
    def drafting(self) -> Iterator[str]:
        """Give a free path for something to be stored; what is left there goes, after a death, too."""
        folder = f"{self.root}/drafts"
        self._layout.prepare(durable=False)
        with suppress(FileExistsError):
            syscalls.mkdir(folder, CLOSED)
        aside = Aside(folder)
        aside.sweep()
        with aside.new_folder() as staged:
            yield f"{staged.path}/draft"

    def _clear(self, owner: str, parts: Parts) -> None:
        """Remove what is of the other kind: a file where a folder shall be, or the other way round."""
        for depth in range(len(parts), 0, -1):
            if self.has(owner, parts[:depth]):
                self.delete(owner, parts[:depth], durable=False)
                return


def untold(count: int) -> None:
    """Take no notice of how far a transfer is."""


def absolute_parts(path: PathLike) -> Parts:
    """Return the parts of an absolute path; the usual root may be among them, as in `lit://` paths."""
    text = path_text(path)
    parts = tuple(part for part in text.split("/") if part)
    for part in parts:
        if part != RESERVED:
            check_part(part, text, portable=False)
    check_length("/".join(parts))
    return parts


def destination(path: PathLike, *, overwrite: bool) -> Destination:
    """Return absolute `path` as the place for what is got; folders above it are made if need be."""
    parts = absolute_parts(path)
    known = max((depth for depth in range(len(parts)) if os.path.isdir(_path(parts[:depth]))), default=0)
    return Destination(_path(parts[:known]), parts[known:], overwrite=overwrite)


def is_there(path: PathLike) -> bool:
    """Return whether something is at `path`, links followed."""
    return pathlib.Path(path).exists()


def _path(parts: Parts) -> str:
    return f"/{'/'.join(parts)}"


def _admit(names: list[str], folder: str) -> None:
    check_names(names, folder, portable=False)
