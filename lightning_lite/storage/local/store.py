"""The store that keeps drives as plain files in a local folder."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from stat import S_ISDIR
from typing import BinaryIO

from lightning_lite.root_access import ANY, CLOSED, own_root
from lightning_lite.storage.base import (
    CheckedFile,
    Destination,
    Entry,
    OnProgress,
    Page,
    Parts,
    Problem,
    Source,
)
from lightning_lite.storage.errors import (
    DriveIdError,
    DriveIsDirectory,
    not_owned,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.opening import Bounds
from lightning_lite.storage.fs.watch import Arrivals
from lightning_lite.storage.local.changes import Committer, Put
from lightning_lite.storage.local.drive_folders import DriveFolders, checked, make_folder, refusals
from lightning_lite.storage.local.lookup import Lookup
from lightning_lite.storage.local.name_index import NameIndex
from lightning_lite.storage.local.verify import verify
from lightning_lite.storage.names import PROTOCOL, RESERVED, drive_name
from lightning_lite.storage.transfer.delivery import Delivery
from lightning_lite.storage.transfer.staging import StagingFolder


def drive_names(root: str) -> list[str]:
    """Return the names of the drives in a root, sorted; the list is empty if the folder is no root.

    Args:
        root: Absolute folder that holds all drives.
    """
    try:
        with checked(root, ("drives",)) as folder:
            names = syscalls.listdir(folder.fd) if folder is not None else []
    except NotADirectoryError:
        return []
    return sorted(name for name in names if _is_drive(f"{root}/drives/{name}", name))


def private_root(root: str, *, make: bool = True) -> str:
    """Return the root of this user alone: `root`, or in a group root the user's folder in it.

    Args:
        root: Absolute folder that holds all drives.
        make: Whether the user's folder in a group root is created if it is missing.

    Raises:
        DriveRefused: Another user could have written into it.
    """
    with refusals():
        return own_root(root, make=make_folder if make else None)


def _is_drive(path: str, name: str) -> bool:
    try:
        drive_name(PROTOCOL + name)
    except DriveIdError:
        return False
    ours = syscalls.stat_if_exists(f"{path}/{RESERVED}")
    return ours is not None and S_ISDIR(ours.st_mode)


class LocalStore:
    """Keeps one drive in a folder of this machine; see `Store` for the methods.

    Args:
        root: Absolute folder that holds all drives.
        name: Name of the drive.
        mode: With whom the root may be shared, see `root_access.opened`.
    """

    def __init__(self, root: str, name: str, mode: str = ANY) -> None:
        self._root = root
        self._folders = DriveFolders(root, name, mode)
        self._name_index = NameIndex(self._folders.names, self._folders.staging)
        self._lookup = Lookup(self._folders)

    def put(
        self,
        owner: str,
        parts: Parts,
        source: Source,
        *,
        exclusive: bool,
        move: bool,
        durable: bool,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Store a file or a folder; see `Store`."""
        bounds = Bounds(source.folder, self._root, follow_symlinks=source.follow_symlinks)
        fd = bounds.open(source.path)
        try:
            self._folders.prepare(durable=durable)
            put = Put(
                self._folders,
                self._name_index,
                owner,
                parts,
                source,
                bounds,
                fd,
                exclusive=exclusive,
                durable=durable,
            )
            put.check()
            if move:
                put.move(on_progress)
            else:
                put.copy(on_progress)
        finally:
            syscalls.close(fd)

    def get(
        self,
        parts: Parts,
        destination: Destination,
        *,
        owner: str | None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Copy one version of a file or a folder to `destination`; see `Store`."""
        with self._lookup.opened(parts, owner) as fd:
            Delivery(destination).copy(fd, self._folders.staging, on_progress)

    def delete(self, owner: str, parts: Parts, *, durable: bool) -> None:
        """Remove a file or folder of `owner`; see `Store`."""
        if not self._folders.exists():
            raise not_owned(owner, parts, [])
        self._folders.staging.sweep()
        with self._folders.changing():
            owners = self._folders.owners(parts)
            if owner not in owners:
                raise not_owned(owner, parts, owners)
            Committer(self._folders, self._name_index, durable=durable).remove((owner, *parts))
        self._folders.staging.sweep()

    def names(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[str]:
        """Return paths at and below `parts`; see `Store`."""
        return self._lookup.names(parts, owner, recursive=recursive)

    def entries(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[Entry]:
        """Return entries at and below `parts`; see `Store`."""
        return self._lookup.entries(parts, owner, recursive=recursive)

    def page(self, parts: Parts, *, owner: str | None, after: tuple[str, str], limit: int) -> Page:
        """Return some of the entries in a folder; see `Store`."""
        return self._lookup.page(parts, owner, after, limit)

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`; see `Store`."""
        return self._lookup.owners(parts)

    def is_folder(self, parts: Parts, *, owner: str | None) -> bool:
        """Return whether a folder is at `parts`; see `Store`."""
        return self._lookup.is_folder(parts, owner)

    def open(self, parts: Parts, *, owner: str | None) -> BinaryIO:
        """Open a file for reading; see `Store`."""
        with self._lookup.opened(parts, owner) as fd:
            if S_ISDIR(syscalls.fstat(fd).st_mode):
                raise DriveIsDirectory(f"{shown('/'.join(parts))} is a folder; open a file in it, or get it.")
            return os.fdopen(syscalls.dup(fd), "rb")

    def wait(self, is_there: Callable[[], bool], timeout: float) -> bool:
        """Wait for something new; see `Store`."""
        deadline = time.monotonic() + timeout
        self._folders.prepare(durable=False)
        with Arrivals(self._folders.staging.folder) as arrivals:
            while not is_there():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                arrivals.wait(left)
        return True

    @contextmanager
    def draft(self) -> Iterator[str]:
        """Give a free path on the same disk; see `Store`."""
        folder = f"{self._root}/drafts"
        self._folders.prepare(durable=False)
        with suppress(FileExistsError):
            syscalls.mkdir(folder, CLOSED)
        staging = StagingFolder(folder)
        staging.sweep()
        with staging.new_folder() as staged:
            yield f"{staged.path}/draft"

    def local_path(self, owner: str, parts: Parts) -> str:
        """Return the path of a file or folder in the drive; see `Store`."""
        self._folders.exists()  # refuses a drive into which another user could have written
        return "/".join((self._folders.base, owner, *parts))

    def verify(self, *, hashes: bool) -> Iterator[Problem | CheckedFile]:
        """Compare the drive with the promises of drives; see `Store`."""
        self._folders.exists()
        return verify(self._folders.base, hashes=hashes, is_shared=self._folders.is_shared)
