"""Where a drive is on a disk, and the way into it.

<root>/                                   closed to everybody but its user
  drives/<name>/<component>/<path>        what is to be seen
  drives/<name>/.lightning_lite/lock      who changes it now
  drives/<name>/.lightning_lite/aside/    what is in preparation, and what is thrown away
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveGone, shown
from lightning_lite.storage.locking import DriveLock
from lightning_lite.storage.names import RESERVED
from lightning_lite.storage.probing import admit_file_system
from lightning_lite.storage.staging import Aside
from lightning_lite.storage.store import Parts
from lightning_lite.storage.swapping import recover

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
    """

    def __init__(self, root: str, name: str) -> None:
        own = f"{root}/drives/{name}/{RESERVED}"
        self.base = f"{root}/drives/{name}"
        self.aside = Aside(f"{own}/aside")
        self._root = root
        self._lock = DriveLock(f"{own}/lock")
        self._seen = False

    def exists(self) -> bool:
        """Say whether the drive is there.

        Raises:
            DriveGone: It was there, and is not any more.
        """
        there = disk.look(self.aside.folder) is not None
        if self._seen and not there:
            raise DriveGone(
                f"The folder {shown(self.base)} of the drive was removed while it was in use; bring it back, "
                f"or make a new Drive to begin anew."
            )
        self._seen = there
        return there

    def prepare(self, *, durable: bool) -> None:
        """Make the folders of the drive, if they are not there yet."""
        first = not self._seen
        if not self.exists():
            os.makedirs(os.path.dirname(self._root), exist_ok=True)
            own = os.path.dirname(self.aside.folder)
            for folder in (self._root, f"{self._root}/drives", self.base, own, self.aside.folder):
                try:
                    disk.mkdir(folder, CLOSED)
                except FileExistsError:
                    continue
                if durable:
                    disk.flush_folder(os.path.dirname(folder))
        if first:
            admit_file_system(self.aside.folder)
            self._seen = True

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock, after having finished what the last holder did not live to finish."""
        with self._lock.held():
            recover(self.base, self.aside)
            yield

    def space(self, component: str) -> str:
        """Return the folder of what a component has put."""
        return f"{self.base}/{component}"

    def components(self) -> list[str]:
        """Return the names of all components that have ever put something, sorted."""
        try:
            return sorted(name for name in disk.listdir(self.base) if name != RESERVED)
        except FileNotFoundError:
            return []

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts` right now, sorted."""
        path = "/".join(parts)
        return [name for name in self.components() if disk.look(f"{self.base}/{name}/{path}") is not None]
