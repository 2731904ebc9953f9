"""Exchanges two folders: in one step where the system can, else in two under an intent record.

The caller holds the drive's lock. If it dies between the two steps, the next holder of the lock finishes
them.
"""

from __future__ import annotations

import os
from contextlib import suppress

from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.local.staging import INTENT, TWO_STEPS, Intent, StagingFolder, read_intent


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
    target = f"{base}/{intent.target}"
    if syscalls.stat_if_exists(target) is None and syscalls.stat_if_exists(new) is not None:
        syscalls.rename(new, target)
    syscalls.unlink(f"{staging.folder}/{INTENT}")


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
