"""The types of the mounted file systems, as Linux lists them."""

from __future__ import annotations

import os

#: File with the mounts of this process.
MOUNTS = "/proc/self/mountinfo"


def file_system_type(folder: str, mounts: str = MOUNTS) -> str:
    """Return the type of the file system of a folder, such as "ext4", or "" if the system does not tell it.

    Args:
        folder: Its path.
        mounts: File with the mounts in Linux's format.

    Example:
        >>> file_system_type("/", mounts="/no/such/file")
        ''
    """
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:
        return ""
    real = os.path.realpath(folder)
    best, kind = "", ""
    for fields in lines:
        point = fields[4].replace("\\040", " ")
        inside = point == "/" or real == point or real.startswith(f"{point}/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[fields.index("-") + 1]
    return kind
