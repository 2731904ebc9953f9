"""Makes the copy of a source a snapshot: the state of everything in it at one moment.

The copy of a folder takes time, and other processes may write to it while it is made. So the state of each
file is recorded before it is copied, and compared when everything is copied. If all are the same, the copy is
the state of the folder at that moment.

A file in another state is compared with its copy, byte by byte. It may be the same, because a new hard link
and new permissions change the state of a file, too. It may have grown, as a log does: its new end is
added to the copy. Then all states are compared again. If nothing but that file has changed, the copy is the
state of the folder at the moment before its end was added. So a folder can be put although a process appends
to a log in it all the time. Every other change is an error that names the file.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from stat import S_IMODE, S_ISREG, S_IWUSR

from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import BUFFER, changed, copy_range, open_below, state_number

#: Times that all states are compared. If two files grow, one must have a pause for as long as that takes.
_ROUNDS = 10

_WRITE = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC

#: Errors if a link or a socket is in the place of a file, or if its permissions were taken away.
_NOT_READ = frozenset({errno.ELOOP, errno.ENXIO, errno.EOPNOTSUPP, errno.EACCES})


def states_of_folder(fd: int, path: str = "") -> dict[str, int]:
    """Return the `state_number` of everything in an open folder, by the path below the top."""
    states = {path: state_number(syscalls.fstat(fd))}
    with syscalls.scandir(fd) as found:
        entries = list(found)
    prefix = f"{path}/" if path else ""
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            inner = syscalls.open_file(entry.name, syscalls.FOLDER, dir_fd=fd)
            try:
                states |= states_of_folder(inner, prefix + entry.name)
            finally:
                syscalls.close(inner)
        else:
            text = syscalls.readlink(entry.name, dir_fd=fd) if entry.is_symlink() else ""
            states[prefix + entry.name] = state_number(entry.stat(follow_symlinks=False), text)
    return states


def complete_folder(source: int, copy: int, states: dict[str, int], path: str, *, durable: bool) -> list[str]:
    """Make the copy of a folder the state of its source at one moment.

    Args:
        source: Descriptor of the folder.
        copy: Descriptor of its copy.
        states: The states of everything in the folder before it was copied; updated to that moment.
        path: Absolute path of the folder, for errors.
        durable: Whether the copy is flushed to the disk.

    Returns:
        The absolute paths of the files that have grown, sorted.

    Raises:
        DriveSourceChanged: Something else than the end of a file changed, or several files grow all the time.
        OSError: Something does not exist any more.
    """
    grown: set[str] = set()
    different: set[str] = set()
    latest: set[str] = set()  # the names of the file that was compared last, if it was only one
    for _ in range(_ROUNDS):
        now = states_of_folder(source)
        different = {name for name in now.keys() | states.keys() if now.get(name) != states.get(name)}
        if different <= latest:
            return sorted(grown)
        for name in sorted(different):
            if name not in states or name not in now:
                how = "removed" if name in states else "added"
                raise changed(f"{path}/{name}", f"was {how} while its folder was copied")
        identities = set()
        for name in sorted(different, reverse=True):  # a folder last, because its file says more
            there = f"{path}/{name}" if name else path
            info, has_grown = _complete_file(source, copy, name, there, durable=durable)
            states[name] = state_number(info)
            identities.add((info.st_dev, info.st_ino))
            if has_grown:
                grown.add(there)
        latest = different if len(identities) == 1 else set()
    raise changed(f"{path}/{min(different)}", "and other files changed all the time while they were copied")


def _complete_file(
    source: int, copy: int, name: str, path: str, *, durable: bool
) -> tuple[os.stat_result, bool]:
    """Complete the copy of the file `name`; return the status of the file then, and if it has grown."""
    with _opened_file(source, name, path) as fd, _opened_file(copy, name, path) as there:
        info, size = syscalls.fstat(fd), syscalls.fstat(there).st_size
        if info.st_size > size:
            _append(fd, there, copy, name, info.st_size)
        compare(fd, there, info, path)
        syscalls.utime(there, ns=(info.st_atime_ns, info.st_mtime_ns))
        if durable:
            syscalls.fsync(there)
    return info, info.st_size > size


@contextmanager
def _opened_file(folder: int, name: str, path: str) -> Iterator[int]:
    """Open the file `name` in an open folder; anything else there is a change of the source `path`."""
    if not name:
        raise changed(path)  # names in the top were added and removed again
    try:
        fd = open_below(folder, name)
    except OSError as error:
        if error.errno not in _NOT_READ:
            raise
        raise changed(path) from error
    try:
        if not S_ISREG(syscalls.fstat(fd).st_mode):
            raise changed(path)
        yield fd
    finally:
        syscalls.close(fd)


def _append(source: int, copy: int, folder: int, name: str, end: int) -> None:
    """Add to the copy `name` in `folder` the bytes of its source up to the byte `end`."""
    info = syscalls.fstat(copy)
    syscalls.set_mode(copy, S_IMODE(info.st_mode) | S_IWUSR)
    target = open_below(folder, name, _WRITE)
    try:
        copy_range(source, target, info.st_size, end, None)
    finally:
        syscalls.close(target)
    syscalls.set_mode(copy, S_IMODE(info.st_mode))


def compare(source: int, copy: int, info: os.stat_result, path: str) -> None:
    """Refuse a copy that does not have the content of its source.

    Args:
        source: Descriptor of the source, which may have become longer.
        copy: Descriptor of the copy.
        info: Status of the source.
        path: Absolute path of the source, for the error.

    Raises:
        DriveSourceChanged: The source was written to.
    """
    if syscalls.fstat(copy).st_size != info.st_size:
        raise changed(path)
    position = 0
    while position < info.st_size:
        data = syscalls.pread(copy, min(info.st_size - position, BUFFER), position)
        if not data or data != syscalls.pread(source, len(data), position):
            raise changed(path)
        position += len(data)
