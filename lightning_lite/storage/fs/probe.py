"""Tests whether a file system keeps the promises that drives need: locks and exclusive creation.

Local file systems do. For a network file system a warning is given, and two processes test it; it is
refused only if both get a lock or a new file that only one of them may get.

Leases show whether a file is open for writing; they are believed on local file systems only.
"""

from __future__ import annotations

import os
import sys
from functools import cache

from lightning_lite.file_system_types import MOUNTS, file_system_type, read_mounts
from lightning_lite.storage.errors import DriveUnsupportedFS, DriveWarning, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.tracebacks import warn_user

#: File systems whose files other machines can change.
NETWORK = frozenset(
    {"9p", "afs", "beegfs", "ceph", "cifs", "fuse.ceph", "fuse.glusterfs", "fuse.s3fs", "fuse.sshfs", "gfs2",
     "glusterfs", "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "smb3", "smbfs"}
)  # fmt: skip

# Beginnings of the types of file systems in user space (FUSE), here or on the host of a virtual machine.
_IN_USER_SPACE = ("fuse", "virtiofs")

# The program of the second process: it prints "locks" and "create-only" if they do not keep it out.
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


def check_file_system(folder: str, mounts: str = MOUNTS) -> None:
    """Warn once if `folder` is on a network, and refuse it if locks or exclusive creation do not work there.

    Args:
        folder: An existing folder.
        mounts: File with the mounts of this process in Linux's format; without it, no check is made.
    """
    if folder in _checked:
        return
    _checked.add(folder)
    kind = file_system_type(folder, mounts)
    if kind not in NETWORK:
        return
    warn_user(
        f"The root of the drive {shown(folder)} is on a network file system ({kind}): changes of "
        f"other machines are visible late, and waiting is slower. Use a local folder if one machine is "
        f"enough.",
        DriveWarning,
    )
    broken = try_out(folder)
    if broken:
        _checked.discard(folder)
        raise DriveUnsupportedFS(
            f"{' and '.join(broken)} do not work on {shown(folder)} ({kind}): two processes "
            f"got the same one. Put the root on another file system."
        )


@cache
def has_true_leases(device: int, mounts: str = MOUNTS) -> bool:
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
    kinds = [mount.kind for mount in read_mounts(mounts) if mount.device == number]
    return not any(kind in NETWORK or kind.startswith(_IN_USER_SPACE) for kind in kinds)


def has_precise_ctime(folder: str, fd: int) -> bool:
    """Return whether each change in `folder` gets a time of change (ctime) of its own.

    Local file systems of Linux 6.13 and later do that; before, all changes within some milliseconds share it.

    Args:
        folder: A folder of the drive.
        fd: Descriptor of a new file in it, whose ctime may be changed.
    """
    if file_system_type(folder) in NETWORK:
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

    # At random, because a process of another host or container may try it out with the same pid.
    probe = f"{folder}/probe-{os.urandom(8).hex()}"
    lock, new = f"{probe}.lock", f"{probe}.new"
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
