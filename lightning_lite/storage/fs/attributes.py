"""Copies the extended attributes of files and folders.

Attributes of the user (`user.*`) are copied. Access control lists are not: a drive is open to one user only,
and a list would give others access to a file again after a `get`. A `DriveWarning` says so, but not for
a list that comes from the folder that the file is in. All other attributes belong to the system.
"""

from __future__ import annotations

import errno

from lightning_lite.access_lists import is_inherited
from lightning_lite.storage.fs import syscalls

_USER = "user."

#: Errors if the file system of the copy has no room or no support for an attribute, or it was just removed.
_NOT_KEPT = syscalls.UNKNOWN | {errno.ENOSPC, errno.EDQUOT, errno.E2BIG, errno.ERANGE, errno.ENODATA}


def copy_attributes(source: int, target: int, names: list[str], lost: set[str]) -> None:
    """Copy extended attributes.

    Args:
        source: Descriptor of the file or folder that has them.
        target: Descriptor of its copy, to whose file the owner may write.
        names: Their names, from `syscalls.attribute_names`.
        lost: Gets a description of each attribute that is not kept.
    """
    for name in names:
        if not name.startswith(_USER):
            if not is_inherited(source, name):
                lost.add("access control lists")
            continue
        try:
            syscalls.setxattr(target, name, syscalls.getxattr(source, name))
        except OSError as error:
            if error.errno not in _NOT_KEPT and not isinstance(error, PermissionError):
                raise
            lost.add(f"the extended attribute {name!r}")
