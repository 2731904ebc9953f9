"""Opens files in places where another program may have put something else.

A link leads to any other file, opening a FIFO waits for its other end, and a device may never end. So only
regular files are opened, and a link at the end of a path is not followed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable

_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_FLAGS = _NO_LINK | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_CLOEXEC"))

_KINDS = {
    stat.S_IFREG: "a file",
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


#: What to do if this user may not read or write a file.
ACCESS_ADVICE = "give yourself access to it with chmod or chown"

_FREE_SPACE = "free some space on its disk"

#: What to do after an error of the system that has nothing to do with the file, by its number.
_ADVICE = {
    errno.ENOSPC: _FREE_SPACE,
    errno.EDQUOT: _FREE_SPACE,
    errno.EMFILE: "allow more open files with 'ulimit -n'",
    errno.ENFILE: "allow more open files on this machine with 'sysctl fs.file-max'",
}


def advice_for(error: OSError, otherwise: str) -> str:
    """Return what to do after an error of the system: if the disk is full, for example, nothing else helps.

    Args:
        error: The error.
        otherwise: The advice for other errors.

    Example:
        >>> advice_for(OSError(errno.ENOSPC, "No space left on device"), "set another root")
        'free some space on its disk'
    """
    return _ADVICE.get(error.errno or 0, otherwise)


def kind_of(mode: int) -> str:
    """Return the kind of a file in words, from its mode.

    Args:
        mode: The field `st_mode` of its status.

    Example:
        >>> kind_of(os.lstat(os.devnull).st_mode)
        'a device'
    """
    return _KINDS.get(stat.S_IFMT(mode), "a special file")


def describe_at(error: OSError, path: str, *, dir_fd: int | None = None) -> str:
    """Return why a regular file can't be opened: the kind of another thing there, or the text of the error.

    The texts of the system do not name it: a link has "too many levels", and a socket "no such device".

    Args:
        error: The error.
        path: The file.
        dir_fd: Descriptor of the folder to which `path` is relative, or `None`.
    """
    try:
        check_regular(os.stat(path, dir_fd=dir_fd, follow_symlinks=False), path)
    except OSError as found:
        return found.strerror or str(found)
    return error.strerror or str(error)


def open_regular(path: str, flags: int = os.O_RDONLY) -> int:
    """Open a regular file, and return its file descriptor; a new file is accessible only by its user.

    Args:
        path: The file.
        flags: Flags of `os.open`.

    Raises:
        OSError: It can't be opened; the text of the error says so if it is not a regular file.

    Example:
        >>> open_regular(os.sep)
        Traceback (most recent call last):
        ...
        OSError: [Errno 22] it is a folder, not a regular file: '/'
    """
    try:
        check_regular(os.lstat(path), path)  # before it is opened, because that may start a device
    except FileNotFoundError:
        if not flags & os.O_CREAT:
            raise
    fd = os.open(path, flags | _FLAGS, 0o600)
    try:
        check_regular(os.fstat(fd), path)  # it may have been replaced between the two calls
    except OSError:
        os.close(fd)
        raise
    return fd


def read_regular(
    path: str, limit: int, check: Callable[[os.stat_result, str], object] | None = None
) -> bytes:
    """Return the content of a regular file.

    Args:
        path: The file.
        limit: Maximum of bytes; a larger file is not read.
        check: Called with the status of the open file and the path, before the file is read; may raise.

    Raises:
        OSError: It can't be read; the text of the error says so if it is too large or not a regular file.
    """
    with open(open_regular(path), "rb", buffering=0) as file:
        found = os.fstat(file.fileno())
        if check is not None:
            check(found, path)
        if found.st_size > limit:
            raise OSError(errno.EFBIG, f"it has {found.st_size} bytes, more than {limit}", path)
        return file.read(limit) or b""


def open_folder(path: str, *, dir_fd: int | None = None, follow: bool = False) -> int:
    """Open a folder, and return its file descriptor.

    Args:
        path: The folder.
        dir_fd: Descriptor of the folder to which `path` is relative, or `None`.
        follow: Whether a link may be in its place.

    Raises:
        OSError: It can't be opened; the text of the error says so if it is not a folder.

    Example:
        >>> open_folder(os.devnull)
        Traceback (most recent call last):
        ...
        NotADirectoryError: [Errno 20] it is a device, not a folder: '/dev/null'
    """
    mode = os.stat(path, dir_fd=dir_fd, follow_symlinks=follow).st_mode
    if not stat.S_ISDIR(mode):
        raise OSError(errno.ENOTDIR, f"it is {kind_of(mode)}, not a folder", path)
    flags = _FLAGS & ~_NO_LINK if follow else _FLAGS
    return os.open(path, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | flags, dir_fd=dir_fd)


def flush_folder(path: str) -> None:
    """Flush the entries of a folder to the disk, so that they survive the loss of power.

    Raises:
        OSError: The folder can't be opened or flushed.
    """
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def check_regular(found: os.stat_result, path: str) -> None:
    """Check the status of a file.

    Args:
        found: Its status, from `os.lstat` or `os.fstat`.
        path: The file, for the error.

    Raises:
        OSError: It is not a regular file.
    """
    if not stat.S_ISREG(found.st_mode):
        raise OSError(errno.EINVAL, f"it is {kind_of(found.st_mode)}, not a regular file", path)


def file_stamp(found: os.stat_result) -> tuple[int, int, int]:
    """Return device, inode and time of the last change of a file.

    Another content has another stamp, unless a program sets the time back. The time of the change of the
    inode would show that, but a new or removed name of the file changes it, too.

    Args:
        found: The status of the file.
    """
    return found.st_dev, found.st_ino, found.st_mtime_ns
