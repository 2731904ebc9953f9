"""The stamps of files that this process has stored, so that unchanged ones are not copied again.

They are kept in memory, until the process ends; `sync_notes` keeps its notes on disk, for an object store.
"""

from __future__ import annotations

import os
import time
from stat import S_ISDIR, S_ISREG

from lightning_lite.storage.fs import syscalls

#: Size and times of a file, or of everything in a folder.
Stamp = tuple[object, ...]

#: Nanoseconds after which each change gets another time from the system: its clock has a resolution.
_TICK = 100_000_000

#: The files and folders that this process has stored, by root and path.
_kept: dict[tuple[str, str], Stamp] = {}


def stamp_of(path: str) -> Stamp | None:
    """Return size and times of the file or folder at `path`; `None` if a later change might keep them."""
    newest = time.time_ns() - _TICK
    return _stamp(path, newest)


def is_unchanged(root: str, path: str, now: Stamp | None) -> bool:
    """Return whether this process has stored the file or folder at `path` with its current stamp."""
    return now is not None and _kept.get((root, path)) == now


def remember(root: str, path: str, kept: Stamp | None) -> None:
    """Record the stamp of `path` before it was stored."""
    if kept is None:
        _kept.pop((root, path), None)
    else:
        _kept[root, path] = kept


def _stamp(path: str | os.DirEntry[str], newest: int) -> Stamp | None:
    info = syscalls.stat(path, follow_symlinks=False)
    if info.st_ctime_ns > newest or not (S_ISREG(info.st_mode) or S_ISDIR(info.st_mode)):
        return None
    own: Stamp = (info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    if S_ISREG(info.st_mode):
        return own
    with syscalls.scandir(path) as entries:
        inner = {entry.name: _stamp(entry, newest) for entry in entries}
    return None if None in inner.values() else (own, inner)
