"""The mounted file systems and their types, as Linux lists them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

#: File with the mounts of this process.
MOUNTS = "/proc/self/mountinfo"

# The kernel's escape sequences for some characters in a path. The backslash is last: it begins the others.
_ESCAPES = ((r"\040", " "), (r"\011", "\t"), (r"\012", "\n"), (r"\134", "\\"))


class MountedFileSystem(NamedTuple):
    """A mounted file system.

    Attributes:
        device: Number of its device, as "major:minor".
        point: Absolute path of the folder at which it is mounted.
        kind: Its type, such as "ext4".
    """

    device: str
    point: str
    kind: str


def read_mounts(mounts: str = MOUNTS) -> Iterator[MountedFileSystem]:
    """Yield the mounts in a file in Linux's format; none if there is no such file."""
    try:
        # Other white space than a blank and "\n" is not escaped in a path, so it must separate nothing.
        with open(mounts, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            lines = [line.rstrip("\n").split(" ") for line in file]
    except OSError:
        return
    for fields in lines:
        point = fields[4]
        for escape, character in _ESCAPES:
            point = point.replace(escape, character)
        yield MountedFileSystem(fields[2], point, fields[fields.index("-") + 1])


def file_system_type(folder: str, mounts: str = MOUNTS) -> str:
    """Return the type of the file system of a folder, such as "ext4", or "" if the system does not say.

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
