"""The folders of a drive on disk, and how they are created and opened.

<root>/                                   closed to everybody but its user
  drives/<name>/<component>/<path>        what is to be seen
  drives/<name>/.lightning_lite/lock      who changes it now
  drives/<name>/.lightning_lite/aside/    what is in preparation, and what is thrown away
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
from lightning_lite.storage.fs.probe import admit_file_system
from lightning_lite.storage.local.exchange import recover
from lightning_lite.storage.local.name_index import NameIndex
from lightning_lite.storage.local.staging import Aside
from lightning_lite.storage.names import RESERVED

#: Permissions of the folders that hold drives: nobody else's business.
CLOSED = 0o700


class Layout:
    """The folders of one drive.

    Args:
        root: Absolute folder that holds all drives.
        name: Name of the drive.

    Attributes:
        base: Folder of the drive.
        aside: For what is not to be seen.
        name_index: Which names are in big folders.
        lock: Held by who changes what is to be seen.
    """

    def __init__(self, root: str, name: str) -> None:
        own = f"{root}/drives/{name}/{RESERVED}"
        self.base = f"{root}/drives/{name}"
        self.aside = Aside(f"{own}/aside")
        self.name_index = NameIndex(f"{own}/names", self.aside)
        self._root = root
        self.lock = DriveLock(f"{own}/lock")
        self._seen = False
        self._flushed = False

    def exists(self) -> bool:
        """Say whether the drive is there.

        Raises:
            DriveGone: It was there, and is not any more.
        """
        seen = self._seen  # asked first: another thread may make it between two looks
        if syscalls.look(self.aside.folder) is not None:
            self._seen = True
        elif seen:
            raise DriveGone(
                f"The folder {shown(self.base)} of the drive was removed while it was in use; bring it back, "
                f"or make a new Drive to begin anew."
            )
        return self._seen

    def prepare(self, *, durable: bool) -> None:
        """Make the folders of the drive, if they are not there yet."""
        if not self.exists():
            syscalls.make_folders(os.path.dirname(self._root))
            own = os.path.dirname(self.aside.folder)
            for folder in (self._root, f"{self._root}/drives", self.base, own, self.aside.folder):
                with suppress(FileExistsError):
                    syscalls.mkdir(folder, CLOSED)
        admit_file_system(self.aside.folder)
        self._seen = True
        if durable and not self._flushed:
            self._flush_ancestors()
            self._flushed = True

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock, after having finished what the last holder did not live to finish."""
        with self.lock.held():
            recover(self.base, self.aside)
            yield

    def _flush_ancestors(self) -> None:
        """Let the way to this drive survive the loss of power, whoever made it, up to the top of the disk."""
        folder = self.aside.folder
        device = syscalls.stat(folder).st_dev
        while folder != "/":
            folder = os.path.dirname(folder)
            if syscalls.stat(folder).st_dev != device:
                return
            with suppress(PermissionError):  # who may not look into it has not made what is in it
                syscalls.flush_folder(folder)

    def space(self, component: str) -> str:
        """Return the folder of what a component has put."""
        return f"{self.base}/{component}"

    def components(self) -> list[str]:
        """Return the names of all components that have ever put something, sorted."""
        try:
            return sorted(name for name in syscalls.listdir(self.base) if name != RESERVED)
        except FileNotFoundError:
            return []

    def has(self, component: str, parts: Parts) -> bool:
        """Return whether a component has something at `parts` right now."""
        return syscalls.look("/".join((self.base, component, *parts))) is not None

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts` right now, sorted."""
        return [name for name in self.components() if self.has(name, parts)]
