"""How two folders of a drive are exchanged: the new one with the one that it replaces.

It is one step where the system can do that, else two under an intent record. If the process dies between the
two steps, the next holder of the drive's lock finishes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import NamedTuple

from lightning_lite.storage.errors import DriveError, DrivePathError, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.opening import open_beneath
from lightning_lite.storage.names import RESERVED, check_part
from lightning_lite.storage.transfer.staging import PREFIX, StagingFolder

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


def swap(new: str, target: str, base: str, staging: StagingFolder) -> None:
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
