"""The folders of a drive on disk: how they are found, checked, created and exchanged.

<root>/                                   accessible only to its user, or to the group of a group root
  drives/<name>/<component>/<path>        the visible files
  drives/<name>/.lightning_lite/lock      held by the process that changes visible files
  drives/<name>/.lightning_lite/aside/    the staging folder: files in preparation, and removed ones
  drives/<name>/.lightning_lite/names/    indexes of big folders, which may be lost at any time

Each folder from the root to the staging folder is checked by `root_access` before the drive is used, and
again when another staging folder is at its path.

A new folder is exchanged with the one that it replaces in one step where the system can do that, else in
two under an intent record. If the process dies between the two, the next holder of the drive's lock finishes
them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import NamedTuple

from lightning_lite.errors import RootRefused
from lightning_lite.polling import wait_between_tries
from lightning_lite.root_access import ANY, OpenFolder, opened
from lightning_lite.storage.base import Parts
from lightning_lite.storage.errors import (
    DriveError,
    DriveGone,
    DriveNotADirectory,
    DrivePathError,
    DriveRefused,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import open_beneath, shared_mode, stored_mode
from lightning_lite.storage.fs.locks import CREATION_TIME, LONGEST_PAUSE, DriveLock
from lightning_lite.storage.fs.probe import check_file_system
from lightning_lite.storage.fs.symlinks import broken_link
from lightning_lite.storage.names import RESERVED, check_part
from lightning_lite.storage.transfer.staging import PREFIX, StagingFolder


class DriveFolders:
    """The folders of one drive.

    Args:
        root: Absolute folder that holds all drives.
        name: Name of the drive.
        mode: With whom the root may be shared, see `root_access.opened`.

    Attributes:
        base: Folder of the drive.
        staging: Files that are not visible yet, or not any more.
        names: Folder of the indexes of big folders.
        lock: Held while visible files are changed.
        is_shared: Whether the root is a group root, known when the drive was found or created.
    """

    def __init__(self, root: str, name: str, mode: str = ANY) -> None:
        own = f"{root}/drives/{name}/{RESERVED}"
        self.base = f"{root}/drives/{name}"
        self.staging = StagingFolder(f"{own}/aside", is_needed=partial(is_needed, f"{own}/aside"))
        self.names = f"{own}/names"
        self._root = root
        self._mode = mode
        self._parts = ("drives", name, RESERVED, os.path.basename(self.staging.folder))
        self.lock = DriveLock(f"{own}/lock")
        self.is_shared = False
        self._checked: tuple[int, int] | None = None  # device and inode of the checked staging folder
        self._seen = False
        self._is_probed = False
        self._flushed = False

    def exists(self) -> bool:
        """Return whether the drive exists.

        Raises:
            DriveGone: It existed before, and does not any more.
            DriveRefused: Another user could have written into one of its folders.
        """
        self.check()
        return self._seen

    def check(self) -> None:
        """Check the folders of the drive that exist, and find out whether the root is a group root.

        Raises:
            DriveGone: The drive existed before, and does not any more.
            DriveRefused: Another user could have written into one of its folders.
        """
        seen = self._seen  # read first: another thread may create the drive before the next line
        found = self._find()
        if found is not None:
            if (found.st_dev, found.st_ino) != self._checked:
                self._check_folders()
            self._seen = True
        elif seen:
            raise self._gone()
        else:
            self._check_folders()  # of the folders that are there

    def prepare(self, *, durable: bool) -> None:
        """Create the folders of the drive that do not exist yet, and remove leftovers of dead processes.

        Raises:
            DriveGone: The drive existed before, and does not any more.
            DriveRefused: Another user could have written into one of its folders.
        """
        try:
            exists = self.exists()
        except NotADirectoryError:
            self._refuse_broken_link(self._root)
            raise
        if not exists:
            syscalls.make_folders(os.path.dirname(self._root))
            self._refuse_broken_link(self._root)
            self._check_folders(make=True)
        if not self._is_probed:
            check_file_system(self.staging.folder)
            self._is_probed = True
        self._seen = True
        try:
            self.staging.sweep()
        except FileNotFoundError:
            raise self._gone() from None
        if durable and not self._flushed:
            self._flush_ancestors()
            self._flushed = True

    @contextmanager
    def changing(self) -> Iterator[None]:
        """Hold the lock, after finishing an exchange that its last holder had begun before it died."""
        with self.lock.held():
            recover(self.base, self.staging)
            yield

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

    def stored_mode(self, mode: int) -> int:
        """Return the permissions in the drive of a source with this mode."""
        return shared_mode(mode) if self.is_shared else stored_mode(mode)

    def _find(self) -> os.stat_result | None:
        """Return the status of the staging folder, or `None` if it does not exist."""
        deadline = time.monotonic() + CREATION_TIME
        while True:
            try:
                return syscalls.stat_if_exists(self.staging.folder)
            except PermissionError:  # another user of the group may be creating a folder above it
                if time.monotonic() > deadline:
                    raise
                self._check_folders()
                wait_between_tries(LONGEST_PAUSE)

    def _check_folders(self, *, make: bool = False) -> None:
        """Check the folders from the root to the staging folder by their descriptors, and create them before.

        Raises:
            DriveRefused: Another user could have written into one of them.
        """
        with checked(self._root, self._parts, self._mode, make=make) as folder:
            if folder is None:
                return  # it was removed since
            found = syscalls.fstat(folder.fd)
            self.is_shared = self.staging.is_shared = self.lock.is_shared = folder.is_shared
            self._checked = found.st_dev, found.st_ino

    def _gone(self) -> DriveGone:
        return DriveGone(
            f"The folder {shown(self.base)} of the drive was removed while it was in use; restore it, "
            f"or make a new Drive to start with an empty one."
        )

    def _refuse_broken_link(self, folder: str) -> None:
        link = broken_link(folder)
        if link is not None:
            raise DriveNotADirectory(
                f"The folder of the drives can't be used: {link}; make its target, or remove it."
            )

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


@contextmanager
def checked(
    root: str, parts: tuple[str, ...], mode: str = ANY, *, make: bool = False
) -> Iterator[OpenFolder | None]:
    """Open a folder of a root after the checks of `root_access.opened`; see there.

    Args:
        root: Absolute folder that holds all drives.
        parts: Path of the folder below it.
        mode: With whom the root may be shared.
        make: Whether missing folders are created.

    Raises:
        DriveRefused: Another user could have written into one of the folders.
    """
    with refusals(), opened(root, parts, mode=mode, make=make_folder if make else None) as folder:
        yield folder


@contextmanager
def refusals() -> Iterator[None]:
    """Raise a `RootRefused` in the `with` block as an error of drives."""
    try:
        yield
    except DriveRefused:
        raise
    except RootRefused as error:
        raise DriveRefused(f"{error.message[:1].upper()}{error.message[1:]}.", path=error.path) from None


def make_folder(path: str, permissions: int) -> None:
    """Create a folder; looked up at each call, so that tests can replace the system call."""
    syscalls.mkdir(path, permissions)


#: Name of the intent record of a drive, in its staging folder.
INTENT = f"{RESERVED}.intent"

#: Name of an empty file next to it, which exists if folders are replaced in two steps in this drive.
TWO_STEPS = f"{RESERVED}.two-steps"

#: Most bytes in an intent record.
_LONGEST = 16 * 1024


class Intent(NamedTuple):
    """The record of an exchange of two folders that has begun.

    Attributes:
        new: Name of the new folder, in the staging folder.
        target: Path of its place, below the folder of the drive.
        old: Name of the replaced folder in the staging folder.
    """

    new: str
    target: str
    old: str


def read_intent(staging: str) -> Intent | None:
    """Return the exchange that a dead holder of the lock did not finish, or `None`."""
    try:
        fd = syscalls.open_file(f"{staging}/{INTENT}", syscalls.READ)
    except FileNotFoundError:
        return None
    try:
        lines = syscalls.read(fd, _LONGEST).decode(errors="replace").split("\n")
    finally:
        syscalls.close(fd)
    if len(lines) != len(Intent._fields) or not _is_valid(intent := Intent(*lines)):
        raise DriveError(
            f"{shown(f'{staging}/{INTENT}')} is damaged; check the files next to it, and remove it."
        )
    return intent


def _is_valid(intent: Intent) -> bool:
    """Return whether an exchange could have been begun by this package: its names do not lead out."""
    if not all(name.startswith(PREFIX) and "/" not in name for name in (intent.new, intent.old)):
        return False
    component, *parts = intent.target.split("/")
    try:
        for part in (component, *parts):
            check_part(part, intent.target, portable=False)
    except DrivePathError:
        return False
    return bool(parts) and not {"", "."}.intersection((component, *parts))


def is_needed(staging: str, name: str) -> bool:
    """Return whether the entry `name` of a staging folder belongs to an exchange that is not finished."""
    intent = read_intent(staging)
    return intent is not None and name in (intent.new, intent.old)


def exchange(new: str, target: str, base: str, staging: StagingFolder) -> None:
    """Move the staged folder `new` to the place of the folder `target`, and `target` to the staging folder.

    Args:
        new: Path of the new folder.
        target: Path of the folder that it replaces.
        base: Folder of the drive, which contains both.
        staging: The staging folder of the drive.
    """
    if syscalls.exchange(new, target):
        return
    _announce_two_steps(staging)
    old = staging.new_path()
    _write_intent(
        staging, Intent(os.path.basename(new), os.path.relpath(target, base), os.path.basename(old))
    )
    try:
        syscalls.rename(target, old)
        syscalls.rename(new, target)
    except OSError:
        if syscalls.stat_if_exists(target) is None:
            syscalls.rename(old, target)
        syscalls.unlink(f"{staging.folder}/{INTENT}")
        raise
    syscalls.unlink(f"{staging.folder}/{INTENT}")
    with suppress(OSError):  # the next put or delete removes it
        staging.remove_if_dead(os.path.basename(old))


def recover(base: str, staging: StagingFolder) -> None:
    """Finish an exchange that a dead holder of the lock had begun."""
    intent = read_intent(staging.folder)
    if intent is None:
        return
    new = f"{staging.folder}/{intent.new}"
    *parents, name = intent.target.split("/")
    # By descriptor and without following links: a link in the target would lead out of the drive.
    with suppress(FileNotFoundError), _opened_beneath(base, parents) as parent:
        if syscalls.stat_if_exists(name, parent) is None and syscalls.stat_if_exists(new) is not None:
            syscalls.rename(new, name, dst_dir_fd=parent)
    syscalls.unlink(f"{staging.folder}/{INTENT}")


@contextmanager
def _opened_beneath(base: str, parts: list[str]) -> Iterator[int]:
    fd = open_beneath(base, parts, last=syscalls.FOLDER)
    try:
        yield fd
    finally:
        syscalls.close(fd)


def reads_need_lock(staging: StagingFolder) -> bool:
    """Return whether a folder may be invisible for a moment while it is replaced."""
    return syscalls.stat_if_exists(f"{staging.folder}/{TWO_STEPS}") is not None


def _announce_two_steps(staging: StagingFolder) -> None:
    path = f"{staging.folder}/{TWO_STEPS}"
    if syscalls.stat_if_exists(path) is None:
        syscalls.close(syscalls.open_file(path, syscalls.CREATE & ~os.O_EXCL, 0o600))


def _write_intent(staging: StagingFolder, intent: Intent) -> None:
    with staging.new_file() as staged:
        syscalls.write(staged.fd, "\n".join(intent).encode())
        syscalls.fsync(staged.fd)  # after a loss of power an empty record would block the drive
        syscalls.rename(staged.path, f"{staging.folder}/{INTENT}")
