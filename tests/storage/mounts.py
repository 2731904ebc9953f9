"""Mounts that only one process sees, for disks that are full or can't be written."""

from __future__ import annotations

import ctypes

#: The error of a process that may not mount; only root may.
NO_MOUNTS = "no mounts here"

_CLONE_NEWNS = 0x20000
_MS_RDONLY, _MS_REMOUNT, _MS_BIND, _MS_REC, _MS_PRIVATE = 0x1, 0x20, 0x1000, 0x4000, 0x40000


def mount_small_disk(folder: str) -> None:
    """Give this process alone a disk of 128 KiB at `folder`."""
    _mount_apart((b"none", folder.encode(), b"tmpfs", 0, b"size=128k"))


def mount_read_only(folder: str) -> None:
    """Show `folder` to this process alone as a disk that can't be written."""
    path = folder.encode()
    _mount_apart(
        (path, path, None, _MS_BIND, None), (path, path, None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY, None)
    )


def _mount_apart(*mounts: tuple[bytes, bytes, bytes | None, int, bytes | None]) -> None:
    """Make mounts that no other process sees; each has the arguments of `mount(2)`."""
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.unshare(_CLONE_NEWNS)
    for mount in ((b"none", b"/", None, _MS_REC | _MS_PRIVATE, None), *mounts):
        failed = failed or libc.mount(*mount)
    if failed:
        raise PermissionError(ctypes.get_errno(), NO_MOUNTS)
