"""Which drives a root holds."""

from __future__ import annotations

from stat import S_ISDIR

from lightning_lite.storage import disk
from lightning_lite.storage.errors import DriveIdError
from lightning_lite.storage.names import PROTOCOL, RESERVED, drive_name


def drives_in(root: str) -> list[str]:
    """Return the names of the drives in a root, sorted; of a folder that is no root, none.

    Args:
        root: Absolute folder that holds everything.
    """
    try:
        names = disk.listdir(f"{root}/drives")
    except (FileNotFoundError, NotADirectoryError):
        return []
    return sorted(name for name in names if _is_drive(f"{root}/drives/{name}", name))


def _is_drive(path: str, name: str) -> bool:
    try:
        drive_name(PROTOCOL + name)
    except DriveIdError:
        return False
    ours = disk.look(f"{path}/{RESERVED}")
    return ours is not None and S_ISDIR(ours.st_mode)
