"""A folder of the user's is replaced: in one step where the system can, else in two.

Between the two steps the old folder lies beside its place, in a folder that whoever replaces something
there holds locked. What lies in it while nobody does was left by the dead: it goes back to its place
if that is empty, and else it is removed.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from lightning_lite.storage import disk
from lightning_lite.storage.names import RESERVED
from lightning_lite.storage.staging import PREFIX, Aside
from lightning_lite.storage.trees import is_same

#: Name of the folder, beside what is replaced, in which that lies under its own name for a moment.
REPLACED = f"{RESERVED}.replaced"


def replace_folder(new: str, path: str) -> bool:
    """Bring the folder `new` to the place of the one at `path`.

    Args:
        new: Path of the new folder; the old one is there afterwards, or nothing.
        path: Absolute path of the folder that it replaces.

    Returns:
        Whether it is there now; if not, somebody else brought something there at the same time.

    Raises:
        OSError: It can't be brought there; the old one is at its place.
    """
    if disk.exchange(new, path):
        return True
    parent, name = os.path.dirname(path), os.path.basename(path)
    with _held(parent) as room:
        _restore(room, parent)
        disk.rename(path, f"{room}/{name}")
        try:
            return move_folder(new, path)
        finally:
            with suppress(OSError):  # what can't be put back or removed now, the next one here does
                _restore(room, parent)


def move_folder(new: str, path: str) -> bool:
    """Bring the folder `new` to `path`, and say whether it is there; if not, something else is by now."""
    try:
        disk.rename(new, path)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def restore_replaced(parent: str) -> None:
    """Bring back what somebody took from its place in the folder `parent` and did not live to replace."""
    if disk.look(f"{parent}/{REPLACED}") is not None:
        with _held(parent) as room:
            _restore(room, parent)


@contextmanager
def _held(parent: str) -> Iterator[str]:
    """Make the folder for what is replaced in `parent`, and hold it locked; it goes at the end, if empty."""
    room = f"{parent}/{REPLACED}"
    fd = _open_locked(room)
    try:
        yield room
    finally:
        with suppress(OSError):  # not empty: as above
            disk.rmdir(room)
        disk.close(fd)


def _open_locked(room: str) -> int:
    while True:
        with suppress(FileExistsError):
            disk.mkdir(room, 0o700)
        try:
            fd = disk.open_file(room, disk.FOLDER)
        except FileNotFoundError:
            continue  # the last holder removed it
        try:
            disk.flock(fd, disk.LOCK_EX)
            if is_same(fd, room):
                return fd
        except BaseException:
            disk.close(fd)
            raise
        disk.close(fd)


def _restore(room: str, parent: str) -> None:
    """Put back what has lost its place, and remove what has been replaced; called with the lock held."""
    trash = Aside(room)
    for name in disk.listdir(room):
        if name.startswith(PREFIX):
            continue
        back = disk.look(f"{parent}/{name}") is None
        # What is to be removed is renamed first: half of it must never be taken for what goes back.
        disk.rename(f"{room}/{name}", f"{parent}/{name}" if back else trash.new_path())
    trash.sweep()
