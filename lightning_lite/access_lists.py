"""POSIX access control lists of open files and folders, where the system has them (Linux).

A list gives rights to named users and groups, in addition to the rights of the mode. The default list of
a folder is inherited by each new file and folder in it.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Iterator

#: Extended attributes with the list of a file or folder, and with the default list of a folder.
ACCESS = "system.posix_acl_access"
DEFAULT = "system.posix_acl_default"

# An entry: its kind, its rights, and the number of the user or group. Four bytes are before the first.
_ENTRY = struct.Struct("<HHI")
_START = 4

# Kinds of entries.
_USER, _OWNING_GROUP, _GROUP = 0x02, 0x04, 0x08

_WRITE = 2

#: Errors if there is no list, or no support for one.
_NONE = frozenset({errno.ENODATA, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL})


def further_writers(fd: int, group: int) -> list[str]:
    """Return which named users and groups may write to an open folder, or will be to new folders in it.

    Args:
        fd: Descriptor of the folder.
        group: Number of a group that is left out.

    Returns:
        Texts such as "user 1001" and "group 50", sorted; none where the system has no lists.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryFile() as file:
        ...     further_writers(file.fileno(), 0)
        []
    """
    writers = set()
    for name in (ACCESS, DEFAULT):
        for kind, rights, number in _entries(_read(fd, name)):
            # The mask of the list is ignored: a later change of the mode replaces it.
            if rights & _WRITE and kind == _USER:
                writers.add(f"user {number}")
            if rights & _WRITE and kind == _GROUP and number != group:
                writers.add(f"group {number}")
    return sorted(writers)


def remove_lists(fd: int) -> None:
    """Remove the lists of an open folder, so that its mode alone decides.

    Args:
        fd: Descriptor of a folder of this user.

    Raises:
        OSError: They can't be removed.
    """
    for name in (ACCESS, DEFAULT):
        if _read(fd, name):
            os.removexattr(fd, name)


def is_inherited(fd: int, name: str) -> bool:
    """Return whether a list of an open file or folder comes from the default list of the folder that has it.

    Args:
        fd: Its descriptor.
        name: `ACCESS` or `DEFAULT`.
    """
    try:
        # A descriptor of a file has no other way to its folder; lists and this path both exist on Linux only.
        folder = os.path.dirname(os.readlink(f"/proc/self/fd/{fd}"))
    except OSError:
        return False
    given = _read(folder, DEFAULT)
    if not given:
        return False
    own = _read(fd, name)
    # The other entries of an access list also follow the mode.
    return own == given if name == DEFAULT else _named(own) == _named(given)


def _named(data: bytes) -> set[tuple[int, int, int]]:
    return {entry for entry in _entries(data) if entry[0] in (_USER, _OWNING_GROUP, _GROUP)}


def _entries(data: bytes) -> Iterator[tuple[int, int, int]]:
    yield from _ENTRY.iter_unpack(data[_START:])


def _read(file: int | str, name: str) -> bytes:
    """Return the list of a file or folder as the system stores it, or b"" if it has none.

    For a path, also if it can't be read: another process may have removed or closed the file.
    """
    if not hasattr(os, "getxattr"):
        return b""
    try:
        return os.getxattr(file, name)
    except OSError as error:
        if error.errno in _NONE or isinstance(file, str):
            return b""
        raise
