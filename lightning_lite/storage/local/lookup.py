"""Finds and opens files of a drive, without its lock where folders are exchanged in one step."""

from __future__ import annotations

import errno
import os
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from operator import itemgetter
from stat import S_ISDIR
from typing import TypeVar

from lightning_lite.storage.base import Entry, Page, Parts
from lightning_lite.storage.errors import DriveAmbiguous, DriveNotFound, DriveSymlink, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import open_beneath
from lightning_lite.storage.fs.locks import wait_for
from lightning_lite.storage.fs.symlinks import Links, broken_link
from lightning_lite.storage.local.drive_folders import DriveFolders, reads_need_lock

T = TypeVar("T")

#: Order of the entries of a page: by name, then by owner.
_order = itemgetter(Entry._fields.index("name"), Entry._fields.index("owner"))

#: Creates an `Entry` from a tuple: keyword arguments would double the time of a listing.
_new = tuple.__new__


class Lookup:
    """Reads the visible files of one drive.

    Args:
        folders: The folders of the drive.
    """

    def __init__(self, folders: DriveFolders) -> None:
        self._folders = folders

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`, sorted."""
        return self._owners(parts) if self._folders.exists() else []

    def _owners(self, parts: Parts) -> list[str]:
        owners = self._folders.owners(parts)
        if owners or not reads_need_lock(self._folders.staging):
            return owners
        with self._folders.changing():
            return self._folders.owners(parts)

    @contextmanager
    def opened(self, parts: Parts, owner: str | None) -> Iterator[int]:
        """Open one version of the file or folder at `parts` for the `with` block.

        Raises:
            DriveNotFound: Nothing is there.
            DriveAmbiguous: Several components have it, and `owner` is not given.
        """
        path = "/".join(parts)
        owners: list[str] = []
        if self._folders.exists():
            owners = [owner] if owner else self._owners(parts)
        if len(owners) > 1:
            raise DriveAmbiguous(
                f"We found several matching files created by multiple components: {owners}. "
                f"Pass component_name=... to choose one for {shown(path)}.",
                owners=owners,
            )
        fd = self._open(f"{self._folders.base}/{owners[0]}", parts) if owners else None
        if fd is None:
            link = broken_link("/".join((self._folders.base, owners[0], *parts))) if owners else None
            if link is not None:
                raise DriveNotFound(f"{link} in the drive; put that, or delete the link.")
            whose = f" of the component {shown(owner)}" if owner else ""
            raise DriveNotFound(
                f"We didn't find any match for the associated {shown(path)}{whose}; see list()."
            )
        try:
            yield fd
        finally:
            syscalls.close(fd)

    def names(self, parts: Parts, owner: str | None, *, recursive: bool) -> list[str]:
        """Return the paths at and below `parts`, sorted and unique; see `Store`."""
        found = self._read(
            parts, owner, lambda fd, path, _: names_of(fd, path, recursive=recursive), deep=recursive
        )
        if len(found) == 1:
            return sorted(found[0])
        return sorted({name for names in found for name in names})

    def entries(self, parts: Parts, owner: str | None, *, recursive: bool) -> list[Entry]:
        """Return the entries at and below `parts`, sorted; see `Store`."""
        found = self._read(
            parts,
            owner,
            lambda fd, path, component: entries_of(fd, path, component, recursive=recursive),
            deep=recursive,
        )
        return sorted(chain.from_iterable(found))

    def page(self, parts: Parts, owner: str | None, after: tuple[str, str], limit: int) -> Page:
        """Return some of the entries in a folder; see `Store`."""
        found = self._read(
            parts,
            owner,
            lambda fd, path, component: [page_of(fd, path, component, after, limit)],
            deep=False,
        )
        pages = list(chain.from_iterable(found))
        entries = sorted(chain.from_iterable(page.entries for page in pages), key=_order)
        return Page(entries[:limit], sum(page.total for page in pages))

    def is_folder(self, parts: Parts, owner: str | None) -> bool:
        """Return whether a folder is at `parts`; see `Store`."""
        found = self._read(parts, owner, lambda fd, *_: [S_ISDIR(syscalls.fstat(fd).st_mode)], deep=False)
        return any(chain.from_iterable(found))

    def _read(
        self, parts: Parts, owner: str | None, reader: Callable[[int, str, str], list[T]], *, deep: bool
    ) -> list[list[T]]:
        """Return the results of `reader` at `parts`, one for each component that has this path.

        Args:
            parts: Path in the drive.
            owner: Only this component.
            reader: Called with the open file or folder, its path, and the component.
            deep: Whether the reader descends into folders. It is then called for each child of a component's
                folder, because that folder itself cannot be pinned.
        """
        if not self._folders.exists():
            return []
        found = self._read_once(parts, owner, reader, deep)
        if not reads_need_lock(self._folders.staging):
            return found
        with self._folders.changing():
            return self._read_once(parts, owner, reader, deep)

    def _open(self, space: str, parts: Parts) -> int | None:
        with suppress(FileNotFoundError):
            return open_pinned(space, parts, self._folders.lock.path)
        if reads_need_lock(self._folders.staging):
            with self._folders.changing(), suppress(FileNotFoundError):
                return open_pinned(space, parts, self._folders.lock.path)
        return None

    def _read_once(
        self, parts: Parts, owner: str | None, reader: Callable[[int, str, str], list[T]], deep: bool
    ) -> list[list[T]]:
        found = []
        for name in [owner] if owner else self._folders.components():
            space = f"{self._folders.base}/{name}"
            for path in [parts] if parts or not deep else _children(space):
                try:
                    fd = open_pinned(space, path, self._folders.lock.path)
                except FileNotFoundError:
                    continue
                try:
                    found.append(reader(fd, "/".join(path), name))
                finally:
                    syscalls.close(fd)
        return found


def _children(space: str) -> list[Parts]:
    try:
        return [(name,) for name in syscalls.listdir(space)]
    except (FileNotFoundError, NotADirectoryError):
        return []


def open_pinned(space: str, parts: tuple[str, ...], lock: str) -> int:
    """Open one version of a file or folder of a component; the version stays until the descriptor is closed.

    A folder is pinned: while we hold its shared lock, writers do not change it in place.

    Args:
        space: Folder of the component in the drive.
        parts: Path below it.
        lock: File of the drive's lock; readers wait only for its holder.

    Raises:
        DriveLockTimeout: The holder did not release the folder in time.
        FileNotFoundError: Nothing is there.
        DriveSymlink: The path is a symbolic link that leads out of the folder.
    """
    while True:
        real = parts
        try:
            fd = open_beneath(space, parts)
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            real = _without_links(space, parts, error)
            try:
                fd = open_beneath(space, real)
            except OSError as later:
                if later.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                continue  # it was replaced at the same time
        path = "/".join((space, *real))
        try:
            # Files never change in place, and the folder of a component is never replaced.
            is_pinned = not real or not S_ISDIR(syscalls.fstat(fd).st_mode) or _pin(fd, path, lock)
            # A link and its target are of one version if the link still leads there.
            if is_pinned and (real is parts or _real(space, parts) == real):
                return fd
        except BaseException:
            syscalls.close(fd)
            raise
        syscalls.close(fd)


def _without_links(space: str, parts: Parts, error: OSError) -> Parts:
    """Return a path without symbolic links, which a put with `symlinks="keep"` stored, if it has some."""
    path = "/".join((space, *parts))
    real = _real(space, parts)
    if real == parts or (real is None and error.errno == errno.ENOTDIR):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path) from None
    if real is None:
        raise DriveSymlink(
            f"{shown(path)} is a symbolic link in the drive, made by hand, that leads out of it or back to "
            f"itself; delete it."
        ) from None
    return real


def _real(space: str, parts: Parts) -> Parts | None:
    folder = syscalls.open_file(space, syscalls.FOLDER)
    try:
        return Links(folder).real(parts)
    finally:
        syscalls.close(folder)


def _pin(fd: int, path: str, lock: str) -> bool:
    """Take the shared lock of a folder, and return whether the folder is still at its path."""
    try:
        syscalls.flock(fd, syscalls.LOCK_SH | syscalls.LOCK_NB)
    except BlockingIOError:
        if not syscalls.is_same(fd, path):
            return False  # replaced: its lock is held by the process that removes it
        wait_for(fd, syscalls.LOCK_SH, lock, holder=lock)
    return syscalls.is_same(fd, path)


def names_of(fd: int, path: str, *, recursive: bool) -> list[str]:
    """Return the paths in the folder `fd`, or the path of the file `fd`.

    Args:
        fd: Descriptor of the file or folder at `path`.
        path: Its path in the drive, "" for the top.
        recursive: Whether to return the files at any depth, instead of the files and folders directly in it.
    """
    if not S_ISDIR(syscalls.fstat(fd).st_mode):
        return [path]
    prefix = f"{path}/" if path else ""
    if recursive:
        return [entry.name for entry in _walk(fd, prefix, "", recursive=True)]
    names = syscalls.listdir(fd)
    return [prefix + name for name in names] if prefix else names


def entries_of(fd: int, path: str, owner: str, *, recursive: bool) -> list[Entry]:
    """Return the entries in the folder `fd`, or the entry of the file `fd`; see `names_of`."""
    info = syscalls.fstat(fd)
    if not S_ISDIR(info.st_mode):
        return [Entry(path, info.st_size, info.st_mtime, owner, False)]
    return _walk(fd, f"{path}/" if path else "", owner, recursive=recursive)


def page_of(fd: int, path: str, owner: str, after: tuple[str, str], limit: int) -> Page:
    """Return some of the entries in the folder `fd`, or the entry of the file `fd`; see `Store.page`."""
    info = syscalls.fstat(fd)
    if not S_ISDIR(info.st_mode):
        entry = Entry(path, info.st_size, info.st_mtime, owner, False)
        return Page([entry] if _order(entry) > after else [], 1)
    prefix = f"{path}/" if path else ""
    names = sorted(syscalls.listdir(fd))
    # If `after` belongs to an earlier owner, the entry of this owner with the same name is still to come.
    begin = bisect_right if owner <= after[1] else bisect_left
    entries: list[Entry] = []
    for name in names[begin(names, after[0].removeprefix(prefix)) :]:
        if len(entries) == limit:
            break
        found = syscalls.stat_if_exists(name, fd)
        if found is not None:  # else just deleted: the folder of a component is not pinned
            is_folder = S_ISDIR(found.st_mode)
            size = 0 if is_folder else found.st_size
            entries.append(Entry(prefix + name, size, found.st_mtime, owner, is_folder))
    return Page(entries, len(names))


def _walk(folder: int, prefix: str, owner: str, *, recursive: bool) -> list[Entry]:
    found: list[Entry] = []
    with syscalls.scandir(folder) as items:
        for item in items:
            name = prefix + item.name
            is_folder = item.is_dir(follow_symlinks=False)
            if is_folder and recursive:
                fd = syscalls.open_file(item.name, syscalls.FOLDER, dir_fd=folder)
                try:
                    found += _walk(fd, f"{name}/", owner, recursive=True)
                finally:
                    syscalls.close(fd)
                continue
            try:
                info = item.stat(follow_symlinks=False)
            except FileNotFoundError:
                continue  # just deleted: the folder of a component is not pinned
            fields = (name, 0 if is_folder else info.st_size, info.st_mtime, owner, is_folder)
            found.append(_new(Entry, fields))
    return found
