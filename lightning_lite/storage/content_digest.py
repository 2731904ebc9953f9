"""Size and digest of a stored object: its reference has them, and they are checked before it is unpickled.

A digest finds damage and files that are exchanged for others of the same user. It has no secret, so that it
does not protect against a file that another user made: the owner and the permissions of each file do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from stat import S_ISDIR, S_ISREG
from typing import NamedTuple

from xxhash import xxh3_128

from lightning_lite.context import current_caller
from lightning_lite.regular_files import file_stamp, kind_of
from lightning_lite.storage.errors import DriveError, DriveRefused, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.trusted_roots import check_own_file

#: Bytes that are read at a time.
_CHUNK = 1024 * 1024

#: The files whose content was compared with its digest, and what they were then; by the session of the app,
#: see `Caller`, and by path, oldest first.
_checked_files: dict[tuple[str | None, str], ContentDigest] = {}

#: Maximum of files in it, so that a long run does not fill the memory; the oldest is read again.
_MAX_CHECKED = 1024


class ContentDigest(NamedTuple):
    """Size and digest of a stored file or folder.

    Attributes:
        size: Bytes of all files.
        digest: Digest of the content; for a folder, of all names and contents in it.
        stamp: See `file_stamp`. As long as it is the same, the execution of the app that wrote the file
            takes its content for that which was written, and does not read it for the digest. `None` for a
            folder.
        session: That execution, see `Caller`; `None` if a script wrote it. Others do not trust the stamp:
            after a loss of power or a failure of the disk, another content may have it.
    """

    size: int
    digest: str
    stamp: tuple[int, int, int] | None
    session: str | None = None


def take_digest(path: str) -> ContentDigest:
    """Return size and digest of a new file or folder, and take the right to write to it from other users.

    Raises:
        OSError: It can't be read.
        DriveError: It contains a symbolic link or a special file.

    Example:
        >>> import tempfile
        >>> with tempfile.NamedTemporaryFile() as file:
        ...     take_digest(file.name).size
        0
    """
    fd = syscalls.open_file(path, syscalls.READ)
    try:
        return _digest_of(fd, path, is_new=True)
    finally:
        syscalls.close(fd)


def check_digest(fd: int, path: str, expected: ContentDigest) -> None:
    """Refuse an open file or folder that has another size or digest, or that another user may have written.

    A file that this process has compared is not read again in the same execution of the app, as long as its
    stamp is the same.

    Args:
        fd: Its descriptor, at position 0; the position does not change.
        path: Its path.
        expected: Its size and digest.

    Raises:
        DriveRefused: A file belongs to another user, or others may write to it.
        DriveError: The size or the digest differs.
    """
    found, session = syscalls.fstat(fd), current_caller().session
    if S_ISREG(found.st_mode):
        _check_owner(fd, path)
        if found.st_size != expected.size:
            raise _changed(path, f"its size in bytes is {found.st_size}, not {expected.size}")
        stamp = file_stamp(found)
        if stamp == expected.stamp and session is not None and session == expected.session:
            return
        if _checked_files.get((session, path)) == expected._replace(stamp=stamp):
            return
    elif expected.stamp is not None:
        raise _changed(path, f"it is {kind_of(found.st_mode)}, not a file")
    compared = _digest_of(fd, path, is_new=False)
    if compared[:2] != expected[:2]:
        raise _changed(path, "its content does not match its digest")
    if compared.stamp is not None:
        if len(_checked_files) >= _MAX_CHECKED:
            del _checked_files[next(iter(_checked_files))]
        _checked_files[session, path] = expected._replace(stamp=compared.stamp)


def check_digest_at(path: str, expected: ContentDigest) -> None:
    """Refuse the file or folder at a path; see `check_digest`."""
    fd = syscalls.open_file(path, syscalls.READ)
    try:
        check_digest(fd, path, expected)
    finally:
        syscalls.close(fd)


def refuse_other_kind(path: str) -> None:
    """Refuse a link or a special file at a path whose opening has failed.

    Raises:
        DriveError: There is one.
    """
    found = syscalls.stat_if_exists(path)
    if found is not None and not S_ISREG(found.st_mode) and not S_ISDIR(found.st_mode):
        raise _changed(path, f"it is {kind_of(found.st_mode)}, not a file")


def _digest_of(fd: int, path: str, *, is_new: bool) -> ContentDigest:
    found = syscalls.fstat(fd)
    digest = xxh3_128()
    check = _close_to_others if is_new else _check_owner
    check(fd, path)
    if S_ISREG(found.st_mode):
        _add_file(digest, fd)
        return ContentDigest(found.st_size, digest.hexdigest(), file_stamp(found), current_caller().session)
    size = 0
    for name, inner, status in _files_in(fd, path, "", check):
        digest.update(f"{name}\0{status.st_size}\0".encode(errors="surrogateescape"))
        _add_file(digest, inner)
        size += status.st_size
    return ContentDigest(size, digest.hexdigest(), None)


def _files_in(
    folder: int, path: str, prefix: str, check: Callable[[int, str], None]
) -> Iterator[tuple[str, int, os.stat_result]]:
    """Yield the path of each file in an open folder, its descriptor and its status, after a check of each."""
    for name in sorted(syscalls.listdir(folder)):
        inner_path = f"{path}/{name}"
        fd = syscalls.open_file(name, syscalls.READ, dir_fd=folder)
        try:
            found = syscalls.fstat(fd)
            if S_ISDIR(found.st_mode):
                check(fd, inner_path)
                yield from _files_in(fd, inner_path, f"{prefix}{name}/", check)
            elif S_ISREG(found.st_mode):
                check(fd, inner_path)
                yield f"{prefix}{name}", fd, found
            else:
                raise _changed(inner_path, "it is neither a file nor a folder")
        finally:
            syscalls.close(fd)


def _add_file(digest: xxh3_128, fd: int) -> None:
    position = 0
    while data := syscalls.pread(fd, _CHUNK, position):
        digest.update(data)
        position += len(data)


def _close_to_others(fd: int, path: str) -> None:
    mode = syscalls.fstat(fd).st_mode
    if mode & 0o022:
        syscalls.set_mode(fd, mode & 0o7755)


def _check_owner(fd: int, path: str) -> None:
    if reason := check_own_file(syscalls.fstat(fd), path):
        raise DriveRefused(f"The object in {shown(path)} is not read: {reason}; make it again.", path=path)


def _changed(path: str, what: str) -> DriveError:
    return DriveError(
        f"The object in {shown(path)} is not read: {what}; it was damaged or replaced since it was stored, "
        "make it again."
    )
