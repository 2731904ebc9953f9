"""The folders of a drive on disk, and how they are created and opened.

<root>/                                   accessible only to its user
  drives/<name>/<component>/<path>        the visible files
  drives/<name>/.lightning_lite/lock      held by the process that changes visible files
  drives/<name>/.lightning_lite/aside/    the staging folder: files in preparation, and removed ones
  drives/<name>/.lightning_lite/names/    indexes of big folders, which may be lost at any time
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lightning_lite.storage.base import Parts
from lightning_lite.storage.errors import DriveGone, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.locks import DriveLock
from lightning_lite.storage.fs.probe import check_file_system
from lightning_lite.storage.local.exchange import recover
from lightning_lite.storage.local.name_index import NameIndex
from lightning_lite.storage.local.staging import StagingFolder
from lightning_lite.storage.names import RESERVED

#: Permissions of the folders that contain drives: other users have no access.
CLOSED = 0o700


class Layout:
    """The folders of one drive.

    Args:
        root: Absolute folder that holds all drives.
        name: Name of the drive.

    Attributes:
        base: Folder of the drive.
        staging: Files that are not visible yet, or not any more.
        name_index: Names in big folders.
        lock: Held while visible files are changed.
    """

    def __init__(self, root: str, name: str) -> None:
        own = f"{root}/drives/{name}/{RESERVED}"
        self.base = f"{root}/drives/{name}"
        self.staging = StagingFolder(f"{own}/aside")
        self.name_index = NameIndex(f"{own}/names", self.staging)
        self._root = root
        self.lock = DriveLock(f"{own}/lock")
        self._seen = False
        self._flushed = False

    def exists(self) -> bool:
        """Return whether the drive exists.

        Raises:
            DriveGone: It existed before, and does not any more.
        """
        seen = self._seen  # read first: another thread may create the drive before the next line
        if syscalls.stat_if_exists(self.staging.folder) is not None:
            self._seen = True
        elif seen:
            raise DriveGone(
                f"The folder {shown(self.base)} of the drive was removed while it was in use; restore it, "
                f"or make a new Drive to start with an empty one."
            )
        return self._seen

    def prepare(self, *, durable: bool) -> None:
        """Create the folders of the drive that do not exist yet."""
        if not self.exists():
            syscalls.make_folders(os.path.dirname(self._root))
            own = os.path.dirname(self.staging.folder)
            for folder in (self._root, f"{self._root}/drives", self.base, own, self.staging.folder):
                with suppress(FileExistsError):
                    syscalls.mkdir(folder, CLOSED)
        check_file_system(self.staging.folder)
        self._seen = True
        if durable and not self._flushed:
            self._flush_ancestors()
            self._flushed = True

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock, after finishing an exchange that its last holder had begun before it died."""
        with self.lock.held():
            recover(self.base, self.staging)
            yield

    def space(self, component: str) -> str:
        """Return the folder with the files of a component."""
        return f"{self.base}/{component}"

    def components(self) -> list[str]:
        """Return the names of all components that have ever put something, sorted."""
        try:
            return sorted(name for name in syscalls.listdir(self.base) if name != RESERVED)
        except FileNotFoundError:
            return []

    def has(self, component: str, parts: Parts) -> bool:
        """Return whether a component has something at `parts`."""
        return syscalls.stat_if_exists("/".join((self.base, component, *parts))) is not None

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`, sorted."""
        return [name for name in self.components() if self.has(name, parts)]

    def _flush_ancestors(self) -> None:
        """Flush the names of the drive and of all folders above it up to the top of the disk.

        Another process may have created them without a flush.
        """
        folder = self.staging.folder
        device = syscalls.stat(folder).st_dev
        while folder != "/":
            folder = os.path.dirname(folder)
            if syscalls.stat(folder).st_dev != device:
                return
            with suppress(PermissionError):  # a folder that we may not open was not created by us
                syscalls.flush_folder(folder)
