"""All system calls of storage on files, so that tests can count, fail and kill at each of them.

The modules of storage call these names through the module (`syscalls.rename(...)`), so that a test can
replace them. Most names are functions of `os`; the functions below are those that `os` does not have.
"""

from __future__ import annotations

import errno
import fcntl
import os
import signal
from typing import Any

#: Flags to open files and folders for reading: symbolic links are not followed, a FIFO does not block.
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

#: Flags to refer to a folder that may not be read, where the system can do that.
PATH_ONLY = getattr(os, "O_PATH", os.O_RDONLY) | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC

#: Flags to create a file, which must not exist yet.
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

#: Errors of a file system that does not support an operation.
UNKNOWN = frozenset({errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOTTY, errno.EXDEV})

_FICLONE = 0x40049409
_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCHANGE = 2

#: Names of the extended attributes that are of interest: those of the user, and access control lists. The
#: others belong to the system, which gives them to each new file.
ATTRIBUTES = ("user.", "system.posix_acl_")

LOCK_SH, LOCK_EX, LOCK_NB, LOCK_UN = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_UN
SEEK_SET = os.SEEK_SET

access = os.access
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
readlink = os.readlink
realpath = os.path.realpath
rename = os.rename
rmdir = os.rmdir
scandir = os.scandir
stat = os.stat
symlink = os.symlink
unlink = os.unlink
utime = os.utime
write = os.write

# `None` on systems without them; the callers then use another function.
copy_file_range = getattr(os, "copy_file_range", None)
sendfile = getattr(os, "sendfile", None)
listxattr = getattr(os, "listxattr", None)
getxattr: Any = getattr(os, "getxattr", None)
setxattr: Any = getattr(os, "setxattr", None)

# Leases of files exist on Linux only.
_SET_LEASE = getattr(fcntl, "F_SETLEASE", None)
_SET_SIGNAL = getattr(fcntl, "F_SETSIG", None)


def clone(source: int, target: int) -> bool:
    """Share the data of `source` with `target` (reflink), if the file system supports it.

    Returns:
        Whether it did; if not, nothing has changed.
    """
    try:
        fcntl.ioctl(target, _FICLONE, source)
    except OSError as error:
        if error.errno in UNKNOWN:
            return False
        raise
    return True


def exchange(one: str, other: str, one_fd: int | None = None, other_fd: int | None = None) -> bool:
    """Exchange two paths atomically.

    Args:
        one: First path.
        other: Second path.
        one_fd: Open folder to which the first path is relative.
        other_fd: Open folder to which the second path is relative.

    Returns:
        Whether the system supports it; if not, nothing has changed.
    """
    return _rename_with(_RENAME_EXCHANGE, one, other, one_fd, other_fd)


def rename_new(source: str, target: str) -> None:
    """Rename a file or folder, unless something is at `target`.

    Where the system can't do that in one step, a file gets its new name before it loses the old one. Where
    there are no hard links either, and for folders, `target` is checked first.

    Raises:
        FileExistsError: Something is at `target`; nothing has changed.
    """
    if _rename_with(_RENAME_NOREPLACE, source, target):
        return
    try:
        link(source, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        if stat_if_exists(target) is not None:
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from None
        rename(source, target)
    else:
        unlink(source)


def _rename_with(
    flag: int, one: str, other: str, one_fd: int | None = None, other_fd: int | None = None
) -> bool:
    """Call Linux's `renameat2`, and return whether the system supports it with this flag."""
    import ctypes  # noqa: PLC0415 - takes 5 ms; only the replacement of a folder and rare races need it

    libc = ctypes.CDLL(None, use_errno=True)
    if not hasattr(libc, "renameat2"):
        return False
    places = (_at(one_fd), os.fsencode(one), _at(other_fd), os.fsencode(other))
    if libc.renameat2(*places, flag) == 0:
        return True
    code = ctypes.get_errno()
    if code in UNKNOWN:
        return False
    raise OSError(code, os.strerror(code), other)


def is_open_for_writing(fd: int) -> bool | None:
    """Return whether a process can write to a file through a descriptor or a memory map that it has.

    The kernel refuses a read lease exactly then. A process that opens the file for writing while we hold the
    lease waits until we release it, which is at once, and we get a signal; `SIGURG` is ignored by default.

    Args:
        fd: Descriptor of the file, for reading only.

    Returns:
        `None` if the system or the file system does not say.
    """
    if _SET_LEASE is None or _SET_SIGNAL is None:
        return None
    try:
        fcntl.fcntl(fd, _SET_SIGNAL, signal.SIGURG)
        fcntl.fcntl(fd, _SET_LEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except OSError:
        return None  # the file belongs to another user, or its file system has no leases
    fcntl.fcntl(fd, _SET_LEASE, fcntl.F_UNLCK)
    return False


def may_write(folder: str, dir_fd: int | None = None) -> bool:
    """Return whether this process may create and remove names in a folder."""
    return access(folder, os.W_OK | os.X_OK, dir_fd=dir_fd, effective_ids=access in os.supports_effective_ids)


def set_mode(fd: int, mode: int) -> None:
    """Set the permissions of an open file or folder that this process has created.

    They stay as they are on a file system that keeps none and refuses the change (vfat).
    """
    try:
        fchmod(fd, mode)
    except PermissionError as error:
        if error.errno != errno.EPERM:
            raise


def chmod_folder(folder: int, mode: int) -> None:
    """Set the permissions of a folder that was opened with `PATH_ONLY`."""
    if hasattr(os, "O_PATH"):  # `fchmod` refuses such a descriptor
        os.chmod(f"/proc/self/fd/{folder}", mode)
    else:
        fchmod(folder, mode)


def attribute_names(fd: int) -> list[str]:
    """Return the names of the extended attributes of an open file or folder that are of interest."""
    if listxattr is None:
        return []
    try:
        names = listxattr(fd)
    except OSError as error:
        if error.errno in UNKNOWN or isinstance(error, PermissionError):
            return []
        raise
    return [name for name in names if name.startswith(ATTRIBUTES)] if names else names


def stat_if_exists(path: str, dir_fd: int | None = None) -> os.stat_result | None:
    """Return the status of the file, folder or link at `path`, or `None` if it does not exist."""
    try:
        return stat(path, dir_fd=dir_fd, follow_symlinks=False)
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_folders(path: str) -> None:
    """Create a folder and its missing parents."""
    try:
        mkdir(path)
    except FileExistsError:
        return
    except FileNotFoundError:
        make_folders(os.path.dirname(path))
        make_folders(path)


def flush_folder(path: str) -> None:
    """Make the names in a folder survive a loss of power."""
    fd = open_file(path, FOLDER & ~os.O_NOFOLLOW)
    try:
        fsync(fd)
    finally:
        close(fd)


def try_lock(fd: int) -> bool:
    """Take the exclusive lock of an open file or folder, and return whether it was free."""
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_same(fd: int, path: str, dir_fd: int | None = None) -> bool:
    """Return whether the open file or folder is still the one at `path`."""
    there = stat_if_exists(path, dir_fd)
    here = fstat(fd)
    return there is not None and (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)


def _at(dir_fd: int | None) -> int:
    return _AT_FDCWD if dir_fd is None else dir_fd
