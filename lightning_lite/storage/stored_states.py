"""The states of files that this process has stored, so that unchanged ones are not copied again.

They are kept in memory, until the process ends; `sync_notes` keeps its notes on disk, for an object store.
"""

from __future__ import annotations

import os
import time
from stat import S_ISDIR, S_ISREG

from lightning_lite.storage.fs import syscalls

#: Size and times of a file, or of everything in a folder.
State = tuple[object, ...]

#: Nanoseconds after which each change gets another time from the system: its clock has a resolution.
_TICK = 100_000_000

#: The files and folders that this process has stored, by root and path.
_kept: dict[tuple[str, str], State] = {}


def state_of(path: str) -> State | None:
    """Return size and times of the file or folder at `path`; `None` if a later change might keep them."""
    newest = time.time_ns() - _TICK
    return _state(path, newest)


def is_unchanged(root: str, path: str, now: State | None) -> bool:
    """Return whether this process has stored the file or folder at `path` in its current state."""
    return now is not None and _kept.get((root, path)) == now


def remember(root: str, path: str, kept: State | None) -> None:
    """Record the state of `path` before it was stored."""
    if kept is None:
        _kept.pop((root, path), None)
    else:
        _kept[root, path] = kept


def _state(path: str | os.DirEntry[str], newest: int) -> State | None:
    info = syscalls.stat(path, follow_symlinks=False)
    if info.st_ctime_ns > newest or not (S_ISREG(info.st_mode) or S_ISDIR(info.st_mode)):
        return None
    own: State = (info.st_ino, info.st_mode, info.st_size, info.st_mtime_ns, info.st_ctime_ns)
    if S_ISREG(info.st_mode):
        return own
    with syscalls.scandir(path) as entries:
        inner = {entry.name: _state(entry, newest) for entry in entries}
    return None if None in inner.values() else (own, inner)
