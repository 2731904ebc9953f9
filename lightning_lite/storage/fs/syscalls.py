"""All system calls of storage on files, so that tests can count, fail and kill at each of them.

Everything that reads or changes a disk goes through a name of this module, looked up at each call
(`syscalls.rename(...)`), so that tests can count, fail and kill at the n-th operation. Most names are
the system calls of `os` as they are; the functions below are those that `os` does not have.
"""

from __future__ import annotations

import errno
import fcntl
import os
from functools import cache

#: How files and folders are opened for reading: links are never followed, a FIFO never blocks.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

#: How a file is created: it must be new.
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

#: What a file system answers if it does not know an operation.
UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV})

_FICLONE = 0x40049409
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2

LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_UN
SEEK_SET = os.SEEK_SET

close = os.close
dup = os.dup
fchmod = os.fchmod
flock = fcntl.flock
fstat = os.fstat
fsync = os.fsync
ftruncate = os.ftruncate
link = os.link
listdir = os.listdir
lseek = os.lseek
mkdir = os.mkdir
open_file = os.open
pread = os.pread
pwrite = os.pwrite
read = os.read
realpath = os.path.realpath
rename = os.rename
rmdir = os.rmdir
scandir = os.scandir
stat = os.stat
unlink = os.unlink
utime = os.utime
write = os.write

# Not on every system that Python knows; the callers look for a second way.
copy_file_range = getattr(os, "copy_file_range", None)
sendfile = getattr(os, "sendfile", None)


def clone(source: int, target: int) -> bool:
    """Let the file system share the data of two open files (reflink).

    Returns:
        Whether it could; if not, nothing has happened.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in UNKNOWN:
            return False
        raise
    return True


def exchange(one: str, other: str, one_fd: int | None = None, other_fd: int | None = None) -> bool:
    """Let two paths change places, atomically.

    Args:
        one: The first.
        other: The second.
        one_fd: Open folder that the first refers to, if it is relative.
        other_fd: Open folder that the second refers to, if it is relative.

    Returns:
        Whether the system can do that; if not, nothing has happened.
    """
    import ctypes  # noqa: PLC0415 - 5 ms that only a replaced folder costs

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    places = (_at(one_fd), os.fsencode(one), _at(other_fd), os.fsencode(other))
    if libc.renameat2(*places, _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), other)


def look(path: str, dir_fd: int | None = None) -> os.stat_result | None:
    """Return what is at `path`, without following a link, or `None` if nothing is."""
    try:
        return stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


@cache
def boot_id() -> str | None:
    """Return what the machine calls the time since its last start, or `None` if it has no name for it."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return None


def make_folders(path: str) -> None:
    """Make a folder, and those above it, as far as they are not there."""
    try:
        mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        make_folders(path)


def flush_folder(path: str) -> None:
    """Let the names in a folder survive the loss of power."""
    fd = open_file(path, FOLDER & ~os.O_NOFOLLOW)
    try:
        fsync(fd)
    finally:
        close(fd)


def try_lock(fd: int) -> bool:
    """Take the exclusive lock of an open file or folder, if nobody holds it or a shared one."""
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _at(dir_fd: int | None) -> int:
    return _AT_FDCWD if dir_fd is None else dir_fd
