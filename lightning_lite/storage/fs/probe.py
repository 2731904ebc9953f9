"""Tests whether a file system keeps the promises that drives need: locks and exclusive creation.

Local file systems do. For a network file system a warning is given, and two processes test it; it is
refused only if both get a lock or a new file that only one of them may get.

Leases show whether a file is open for writing; they are believed on local file systems only.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple
from warnings import warn

from lightning_lite.storage.errors import DriveUnsupportedFS, DriveWarning, shown
from lightning_lite.storage.fs import syscalls

#: File systems whose files other machines can change.
NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2",
     "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
)  # fmt: skip

# Beginnings of the types of file systems in user space (FUSE), here or on the host of a virtual machine.
_IN_USER_SPACE = ("fuse", "virtiofs")

_MOUNTS = "/proc/self/mountinfo"

# The program of the second process: it prints what it got although the first process holds it.
_RIVAL = """
import fcntl, os, sys
lock, new = sys.argv[1:]
try:
    fcntl.flock(os.open(lock, os.O_RDWR), fcntl.LOCK_EX | fcntl.LOCK_NB)
    print("locks")
except BlockingIOError:
    pass
try:
    os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY)
    print("create-only")
except FileExistsError:
    pass
"""

_checked: set[str] = set()


def check_file_system(folder: str, mounts: str = _MOUNTS) -> None:
    """Warn once if `folder` is on a network, and refuse it if locks or exclusive creation do not work there.

    Args:
        folder: An existing folder.
        mounts: File with the mounts of this process in Linux's format; without it, no check is made.
    """
    if folder in _checked:
        return
    _checked.add(folder)
    kind = kind_of(folder, mounts)
    if kind not in NETWORK:
        return
    warn(
        f"The root of the drive {shown(folder)} is on a network file system ({kind}): what other "
        f"machines put is visible late, and waiting is slower. Use a local folder if one machine is enough.",
        DriveWarning,
        stacklevel=2,
    )
    broken = try_out(folder)
    if broken:
        _checked.discard(folder)
        raise DriveUnsupportedFS(
            f"{' and '.join(broken)} do not work on {shown(folder)} ({kind}): two processes "
            f"got the same one. Put the root on another file system."
        )


def kind_of(folder: str, mounts: str = _MOUNTS) -> str:
    """Return the type of the file system of `folder`, or "" if the system does not provide it."""
    real = syscalls.realpath(folder)
    best, kind = "", ""
    for mount in _read(mounts):
        inside = mount.point == "/" or real == mount.point or real.startswith(f"{mount.point}/")
        if inside and len(mount.point) >= len(best):
            best, kind = mount.point, mount.kind
    return kind


@cache
def has_true_leases(device: int, mounts: str = _MOUNTS) -> bool:
    """Return whether a lease is refused exactly if a process has the file open for writing.

    NFS refuses each lease for which its server has given no delegation, and SMB each one without an oplock.
    In a file system in user space the kernel sees only the processes that use its mount point.

    The answer is kept. If the system reuses the number of the device for another mount, both wrong answers do
    no harm: a file is copied and not moved.

    Args:
        device: Number of the file system's device, from the status of a file.
        mounts: As for `check_file_system`; leases are believed without it.
    """
    number = f"{os.major(device)}:{os.minor(device)}"
    kinds = [mount.kind for mount in _read(mounts) if mount.device == number]
    return not any(kind in NETWORK or kind.startswith(_IN_USER_SPACE) for kind in kinds)


class _Mount(NamedTuple):
    device: str  # "major:minor"
    point: str
    kind: str


def _read(mounts: str) -> Iterator[_Mount]:
    try:
        with open(mounts, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split() for line in file]
    except OSError:
        return
    for fields in lines:
        yield _Mount(fields[2], fields[4].replace("\\040", " "), fields[fields.index("-") + 1])


def has_precise_ctime(folder: str, fd: int) -> bool:
    """Return whether each change in `folder` gets a time of change (ctime) of its own.

    Local file systems of Linux 6.13 and later do that; before, all changes within some milliseconds share it.

    Args:
        folder: A folder of the drive.
        fd: Descriptor of a new file in it, whose ctime may be changed.
    """
    if kind_of(folder) in NETWORK:
        return False
    for _ in range(10):
        before = syscalls.fstat(fd).st_ctime_ns
        syscalls.fchmod(fd, 0o600)
        if syscalls.fstat(fd).st_ctime_ns == before:
            return False
    return True


def try_out(folder: str) -> list[str]:
    """Return the features that do not work in `folder`: `locks`, `create-only`, both or none."""
    import subprocess  # noqa: PLC0415 - takes 10 ms; only network folders need it

    lock = f"{folder}/probe-{os.getpid()}.lock"
    new = f"{folder}/probe-{os.getpid()}.new"
    fd = syscalls.open_file(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        syscalls.flock(fd, syscalls.LOCK_EX)
        syscalls.close(syscalls.open_file(new, syscalls.CREATE, 0o600))
        rival = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _RIVAL, lock, new], capture_output=True, text=True, check=True
        )
        return rival.stdout.split()
    finally:
        syscalls.close(fd)
        for path in (lock, new):
            if syscalls.stat_if_exists(path) is not None:
                syscalls.unlink(path)
