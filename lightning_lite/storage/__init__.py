"""Files: drives, and the store and the lock that they stand on.

    drive       Drive, what users hold          handle    its id, its root, who acts
    store       the seam: put, list, get and delete of files and folders
    local       … as plain files in a folder of this machine
    names       what may be a name        modes     permissions in a drive
    links       opening what is put       copying   the bytes of one file
    trees       whole folders             listing   names and entries
    staging     what is not to be seen    placing   bringing it to its place in a drive
    swapping    two folders change places intents   … where that takes two steps
    replacing   … in the user's own folder
    pinning     reading while others put  locking   the lock of a drive
    delivering  the user's side of a get  rooms     ours in a folder of the user's
    folders     the user's own folder     selecting which paths a user means
    spelling    one name in two spellings name_index  … and whether one is there
    watching    waiting for something new
    probing     what file system it is    progress  a bar for long transfers
    showing     a table for notebooks     moving    a put that uses up its source
    path        Path, files that works hand on
    segments    … derived alike on all Pythons
    locating    … of `lit://` texts       seen      … not kept again unchanged
    payload     Payload, objects they hand on
    buffers     … one of them in one file
    file_system FileSystem, files of nobody
    artifacts   where the store keeps these
    mount       Mount, kept for apps that have one
    verifying   a drive against its promises
    catalogue   which drives there are    streaming a file to a terminal or a pipe
    errors      everything that can go wrong
    disk        the only door to the file system

Names are loaded on first use, so that a process that moves no files does not pay for them.
"""

from __future__ import annotations

import sys

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from lightning_lite.storage.base import Entry as Entry
    from lightning_lite.storage.drive import Drive as Drive
    from lightning_lite.storage.file_system import FileSystem as FileSystem
    from lightning_lite.storage.mount import Mount as Mount
    from lightning_lite.storage.path import Path as Path
    from lightning_lite.storage.payload import Payload as Payload

_HOMES = {
    "Drive": "drive",
    "Entry": "base",
    "FileSystem": "file_system",
    "Mount": "mount",
    "Path": "path",
    "Payload": "payload",
}

__all__ = ["Drive", "Entry", "FileSystem", "Mount", "Path", "Payload"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = f"{__name__}.{_HOMES[name]}"
    __import__(home)  # importlib would cost each child another millisecond
    return getattr(sys.modules[home], name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
