"""The permissions of stored files and folders.

Stored files lose the owner's right to write, so that no user changes them by mistake (other users have no
access to the root); stored folders must be accessible to their owner. The sticky bit, which has no effect on
these files and folders, records that the source was read-only. Set-id bits are dropped. In a group root, the
group gets the rights that it needs, and the source's are not recorded.
"""

from __future__ import annotations

from stat import S_IRGRP, S_ISDIR, S_ISVTX, S_IWGRP, S_IWOTH, S_IWUSR

_PERMISSIONS = 0o777


def stored_mode(mode: int) -> int:
    """Return the permissions in the drive of a source with this mode.

    Example:
        >>> oct(stored_mode(0o100644)), oct(stored_mode(0o100444))
        ('0o444', '0o1444')
    """
    mark = 0 if mode & S_IWUSR else S_ISVTX
    if S_ISDIR(mode):
        return mode & _PERMISSIONS | 0o700 | mark
    return mode & _PERMISSIONS & ~S_IWUSR | mark


def shared_mode(mode: int) -> int:
    """Return the permissions in a drive of a group root of a source with this mode.

    The group may read each file, and put into and delete from each folder. A folder gets no sticky bit, which
    would keep other users from replacing files in it.

    Example:
        >>> oct(shared_mode(0o100600)), oct(shared_mode(0o040755))
        ('0o440', '0o2775')
    """
    if S_ISDIR(mode):
        return (mode & _PERMISSIONS | 0o2770) & ~S_IWOTH
    return stored_mode(mode) & ~(S_IWGRP | S_IWOTH) | S_IRGRP


def restored_mode(mode: int) -> int:
    """Return the permissions that the source had before it was stored with this mode.

    Example:
        >>> oct(restored_mode(0o100444)), oct(restored_mode(0o101444))
        ('0o644', '0o444')
    """
    permissions = mode & _PERMISSIONS
    return permissions & ~S_IWUSR if mode & S_ISVTX else permissions | S_IWUSR
