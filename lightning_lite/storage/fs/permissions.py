"""Permissions of files that enter and leave a drive.

Stored files lose the owner's right to write, so that no user changes them by mistake (other users have no
access to the root); stored folders must be accessible to their owner. The sticky bit, which has no effect on
these files and folders, records that the source was read-only. Set-id bits are dropped.
"""

from __future__ import annotations

from stat import S_ISDIR, S_ISVTX, S_IWUSR

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


def restored_mode(mode: int) -> int:
    """Return the permissions that the source had before it was stored with this mode.

    Example:
        >>> oct(restored_mode(0o100444)), oct(restored_mode(0o101444))
        ('0o644', '0o444')
    """
    permissions = mode & _PERMISSIONS
    return permissions & ~S_IWUSR if mode & S_ISVTX else permissions | S_IWUSR
