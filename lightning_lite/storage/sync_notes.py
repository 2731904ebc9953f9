"""Notes of files and folders of this machine that were equal to those on an object store.

The notes are on disk, for later processes too; `stored_stamps` keeps its stamps in memory, for one process.

A work on another machine may make a file again, so that the copy here gets out of date. Only a file that a
note describes may be replaced by the newer version: anything else was written or moved here by the user, and
the store may not have it.

<cache>/synced/<digest of machine, place, owner and path>    the note, in JSON
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from stat import S_ISDIR
from uuid import uuid4

from xxhash import xxh3_128

from lightning_lite.process_places import this_host
from lightning_lite.storage.cache_folder import default_folder
from lightning_lite.storage.fs import syscalls

#: For each path in a file or folder, "" for itself: inode; of a file also size, and times of changes.
Stamp = dict[str, list[int]]


def stamp_of(path: str) -> Stamp:
    """Return the stamp of the file or folder at `path` that a note records.

    The time of the last change of the inode is part of it: the system sets it, so that it also changes if a
    program keeps the time of a file that it writes. Folders have no times, as a program that reads in one may
    create and remove a file there.
    """
    stamp: Stamp = {}
    _add(stamp, path, "")
    return stamp


def remember(place: str, owner: str, path: str, stamp: Stamp) -> None:
    """Note that what is at `path` is also in the store.

    Args:
        place: Url that holds all drives.
        owner: Work that owns the file or folder in the store.
        path: Absolute path of the file or folder here.
        stamp: Its stamp, taken when it was equal to the store.
    """
    note = _note(place, owner, path)
    _make_private(os.path.dirname(note))
    new = f"{note}-{uuid4().hex}"
    try:
        with os.fdopen(syscalls.open_file(new, syscalls.CREATE, 0o600), "w", encoding="ascii") as file:
            json.dump(stamp, file)
        syscalls.rename(new, note)
    except BaseException:
        with suppress(FileNotFoundError):
            syscalls.unlink(new)
        raise


def is_synced(place: str, owner: str, path: str) -> bool:
    """Return whether the file or folder is unchanged since it was kept or restored; see `remember`."""
    try:
        with os.fdopen(
            syscalls.open_file(_note(place, owner, path), syscalls.READ), encoding="ascii"
        ) as file:
            noted = json.load(file)
        return bool(noted == stamp_of(path))
    except (FileNotFoundError, ValueError):
        return False  # no note, one that a loss of power has cut, or a file that is being removed


def _make_private(folder: str) -> None:
    """Create a folder that only this user reads, and its missing parents."""
    syscalls.make_folders(os.path.dirname(folder))
    with suppress(FileExistsError):
        syscalls.mkdir(folder, 0o700)


def _add(stamp: Stamp, path: str, name: str) -> None:
    info = syscalls.stat(path, follow_symlinks=False)
    if not S_ISDIR(info.st_mode):
        stamp[name] = [info.st_ino, info.st_size, info.st_mtime_ns, info.st_ctime_ns]
        return
    stamp[name] = [info.st_ino]
    for inner in syscalls.listdir(path):
        _add(stamp, f"{path}/{inner}", f"{name}/{inner}")


def _note(place: str, owner: str, path: str) -> str:
    # The folder for caches may be one of several machines, with other files at the same paths.
    key = "\0".join((this_host(), place, owner, path))
    return f"{default_folder()}/synced/{xxh3_128(key.encode(errors='surrogateescape')).hexdigest()}"
