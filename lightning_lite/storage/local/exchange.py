"""Exchanges two folders: in one step where the system can, else in two under an intent record.

Called with the drive's lock held. Whoever takes the lock next finishes what a dead holder began.
"""

from __future__ import annotations

import os
from contextlib import suppress

from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.local.staging import INTENT, TWO_STEPS, Aside, Intent, read_intent


def swap(new: str, target: str, base: str, aside: Aside) -> None:
    """Bring the folder `new`, which lies aside, to the place of the folder `target`, which goes aside.

    Args:
        new: Path of the new folder.
        target: Path of the one that it replaces.
        base: Folder of the drive, in which both are.
        aside: Where replaced folders go.
    """
    if syscalls.exchange(new, target):
        return
    _announce_two_steps(aside)
    old = aside.new_path()
    _write_intent(aside, Intent(os.path.basename(new), os.path.relpath(target, base), os.path.basename(old)))
    try:
        syscalls.rename(target, old)
        syscalls.rename(new, target)
    except OSError:
        if syscalls.look(target) is None:
            syscalls.rename(old, target)
        syscalls.unlink(f"{aside.folder}/{INTENT}")
        raise
    syscalls.unlink(f"{aside.folder}/{INTENT}")
    with suppress(OSError):  # the next user can clean as well
        aside.remove_if_dead(os.path.basename(old))


def recover(base: str, aside: Aside) -> None:
    """Finish what a holder of the lock began and did not live to finish."""
    intent = read_intent(aside.folder)
    if intent is None:
        return
    new = f"{aside.folder}/{intent.new}"
    target = f"{base}/{intent.target}"
    if syscalls.look(target) is None and syscalls.look(new) is not None:
        syscalls.rename(new, target)
    syscalls.unlink(f"{aside.folder}/{INTENT}")


def reads_need_lock(aside: Aside) -> bool:
    """Return whether a folder may be out of sight for a moment while it is being replaced."""
    return syscalls.look(f"{aside.folder}/{TWO_STEPS}") is not None


def _announce_two_steps(aside: Aside) -> None:
    path = f"{aside.folder}/{TWO_STEPS}"
    if syscalls.look(path) is None:
        syscalls.close(syscalls.open_file(path, syscalls.CREATE & ~os.O_EXCL, 0o600))


def _write_intent(aside: Aside, intent: Intent) -> None:
    with aside.new_file() as staged:
        syscalls.write(staged.fd, "\n".join(intent).encode())
        syscalls.fsync(staged.fd)  # an intent that is empty after a loss of power would be worse than none
        syscalls.rename(staged.path, f"{aside.folder}/{INTENT}")
