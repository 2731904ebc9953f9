"""A folder of the user's is replaced: in one step where the system can, else in two.

Between the two steps the old folder lies in a room beside its place. What lies there while nobody holds
the room was left by the dead: it goes back to its place if that is empty, and else it is removed.
"""

from __future__ import annotations

import errno
from contextlib import suppress

from lightning_lite.storage import disk
from lightning_lite.storage.names import RESERVED
from lightning_lite.storage.rooms import OpenFolder, held_room
from lightning_lite.storage.staging import Aside, Staged

#: Name of the room in which a folder that is replaced lies under its own name for a moment.
REPLACED = f"{RESERVED}.replaced"


def replace_folder(new: Staged, parent: OpenFolder, name: str) -> bool:
    """Bring the folder `new` to the place of the one that is called `name` in `parent`.

    Returns:
        Whether it is there now; if not, somebody else brought something there at the same time.

    Raises:
        OSError: It can't be brought there; the old one is at its place.
    """
    if disk.exchange(new.path, name, new.dir_fd, parent.fd):
        return True
    with held_room(parent, REPLACED) as room:
        _restore(room, parent.fd)
        disk.rename(name, name, src_dir_fd=parent.fd, dst_dir_fd=room)
        try:
            return move_folder(new, parent, name)
        finally:
            with suppress(OSError):  # what can't be put back or removed now, the next one here does
                _restore(room, parent.fd)


def move_folder(new: Staged, parent: OpenFolder, name: str) -> bool:
    """Bring the folder `new` into `parent`, and say whether it is there; if not, something else is by now."""
    try:
        disk.rename(new.path, name, src_dir_fd=new.dir_fd, dst_dir_fd=parent.fd)
    except OSError as error:
        if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):
            raise
        return False
    return True


def restore_replaced(parent: OpenFolder) -> None:
    """Bring back what somebody took from its place in `parent` and did not live to replace."""
    if disk.look(REPLACED, parent.fd) is not None:
        with held_room(parent, REPLACED) as room:
            _restore(room, parent.fd)


def _restore(room: int, parent: int) -> None:
    """Put back what has lost its place, and remove what has been replaced; called with the room held."""
    trash = Aside(".", room)
    for name in disk.listdir(room):
        if name.startswith(RESERVED):
            continue
        if disk.look(name, parent) is None:
            disk.rename(name, name, src_dir_fd=room, dst_dir_fd=parent)
        else:
            # Renamed before it is removed: half of it must never be taken for what goes back.
            disk.rename(name, trash.new_path(), src_dir_fd=room, dst_dir_fd=room)
    trash.sweep()
