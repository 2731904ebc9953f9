"""The mounted file systems and their types, as Linux lists them."""

from __future__ import annotations

import os

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

#: File with the mounts of this process.
MOUNTS = "/proc/self/mountinfo"


class Mount(NamedTuple):
    """A mounted file system.

    Attributes:
        device: Number of its device, as "major:minor".
        point: Absolute path of the folder at which it is mounted.
        kind: Its type, such as "ext4".
    """

    device: str
    point: str
    kind: str


def read_mounts(mounts: str = MOUNTS) -> Iterator[Mount]:
    """Yield the mounts in a file in Linux's format; none if there is no such file."""
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:
        return
    for fields in lines:
        yield Mount(fields[2], fields[4].replace("\\040", " "), fields[fields.index("-") + 1])


def file_system_type(folder: str, mounts: str = MOUNTS) -> str:
    """Return the type of the file system of a folder, such as "ext4", or "" if the system does not tell it.

    Args:
        folder: Its path.
        mounts: File with the mounts in Linux's format.

    Example:
        >>> file_system_type("/", mounts="/no/such/file")
        ''
    """
    real = os.path.realpath(folder)
    best, kind = "", ""
    for mount in read_mounts(mounts):
        inside = mount.point == "/" or real == mount.point or real.startswith(f"{mount.point}/")
        if inside and len(mount.point) >= len(best):
            best, kind = mount.point, mount.kind
    return kind
