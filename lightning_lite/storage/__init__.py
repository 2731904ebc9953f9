"""Files that works share and pass to each other: `Drive`, `Path`, `Payload`, `FileSystem`.

For users:
    drive         Drive: a named folder that components share
    path          Path: a path that knows which work made its file
    payload       Payload: an object that one work makes and another one reads
    file_system   FileSystem: files that belong to no component
    mount         Mount: accepted for compatibility, without effect

Between them and a store:
    base            the interface of a store, and the values that cross it
    stores          which store keeps a drive
    artifacts       the files behind Path, Payload and FileSystem
    names           rules for ids, components, paths and patterns
    destinations    the meaning of the argument `to`
    pickle_file     the format of a Payload's file
    content_digest  size and digest of such a file, checked before it is unpickled
    stored_stamps   which files of a Path are unchanged since this process stored them, in memory
    sync_notes      which files of this machine were equal to those on an object store, on disk
    cache_folder    the user's folder for copies and notes that can be made again
    progress        a bar for long transfers
    notebook        a table of a drive's files
    errors          all errors

Implementations:
    local/        the store in plain files of this machine
    object_store/ the store in a bucket of an object store
    transfer/     the common part of both: the source of a put, and the result of a get
    fs/           operations on the file system that they are built from

The public names are loaded on first use, because each process of a work imports this package.
Importing it also registers the conversion of `lit://` texts, which loads `Path` when it meets the first one.
"""

from __future__ import annotations

from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.values.transferable import Transferable, register_text

if TYPE_CHECKING:
    from typing import Any

    from lightning_lite.storage.base import Entry as Entry
    from lightning_lite.storage.drive import Drive as Drive
    from lightning_lite.storage.file_system import FileSystem as FileSystem
    from lightning_lite.storage.mount import Mount as Mount
    from lightning_lite.storage.path import Path as Path
    from lightning_lite.storage.payload import Payload as Payload

__all__ = ["Drive", "Entry", "FileSystem", "Mount", "Path", "Payload"]

_DEFINED_IN = {
    "Drive": "lightning_lite.storage.drive",
    "Entry": "lightning_lite.storage.base",
    "FileSystem": "lightning_lite.storage.file_system",
    "Mount": "lightning_lite.storage.mount",
    "Path": "lightning_lite.storage.path",
    "Payload": "lightning_lite.storage.payload",
}


def _load(name: str) -> Any:
    module = _DEFINED_IN.get(name)
    if module is None:
        raise AttributeError(f"module 'lightning_lite.storage' has no attribute {name!r}")
    return getattr(late_import(module), name)


if not TYPE_CHECKING:  # a type checker that sees it accepts each misspelled name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted({*globals(), *_DEFINED_IN})


def _path(text: str) -> Transferable:
    path: Transferable = _load("Path")(text)
    return path


register_text("lit://", _path)
