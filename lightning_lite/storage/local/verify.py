"""Compares a drive on disk with the promises of drives.

It looks and changes nothing. Works may go on meanwhile: what they have under way is no finding, and
what goes away between two looks is none either.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from stat import S_IMODE, S_IRWXU, S_ISBLK, S_ISCHR, S_ISDIR, S_ISFIFO, S_ISLNK, S_ISREG, S_ISSOCK, S_IWUSR

from lightning_lite.storage.base import CheckedFile, Problem
from lightning_lite.storage.errors import DriveError
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.local.staging import INTENT, PREFIX, TWO_STEPS, read_intent
from lightning_lite.storage.names import MAX_DEPTH, RESERVED, check_length, check_part

_SET_ID = 0o6000
_OTHERS = 0o077

_KINDS = (
    (S_ISLNK, "a symbolic link"),
    (S_ISFIFO, "a FIFO"),
    (S_ISSOCK, "a socket"),
    (S_ISBLK, "a device"),
    (S_ISCHR, "a device"),
)


def verify(base: str, *, hashes: bool) -> Iterator[Problem | CheckedFile]:
    """Yield each file of a drive, and whatever is wrong, in the order of their paths.

    Args:
        base: Folder of the drive.
        hashes: Whether to read all files for their digests.
    """
    yield from _look_at_base(base)
    yield from _look_at_ours(f"{base}/{RESERVED}")
    for component in sorted(syscalls.listdir(base)):
        if component != RESERVED:
            yield from _look_below(base, component, hashes)


def _look_at_base(base: str) -> Iterator[Problem]:
    found = syscalls.stat(base)
    if found.st_uid != os.geteuid():
        yield Problem(".", f"it belongs to user {found.st_uid}", "look at it as that user")
    elif S_IMODE(found.st_mode) & _OTHERS:
        yield Problem(".", f"other users may enter it (mode {_mode(found)})", "chmod 700")


def _look_at_ours(own: str) -> Iterator[Problem]:
    """Look for what dead processes have left."""
    lock = syscalls.look(f"{own}/lock")
    if lock is not None and not S_ISREG(lock.st_mode):
        yield Problem(
            f"{RESERVED}/lock", "the lock is no regular file", "remove it when nobody uses the drive"
        )
    aside = f"{own}/aside"
    if syscalls.look(aside) is None:
        yield Problem(f"{RESERVED}/aside", "it is missing", "the next put makes it again")
        return
    try:
        intent = read_intent(aside)
    except DriveError:
        yield Problem(f"{RESERVED}/aside/{INTENT}", "it is damaged", "look what is beside it, and remove it")
        intent = None
    if intent is not None and not _is_held(f"{own}/lock"):
        yield Problem(
            intent.target, "an exchange of this folder was not finished", "the next put or delete finishes it"
        )
    for name in sorted(syscalls.listdir(aside)):
        path = f"{RESERVED}/aside/{name}"
        if name in (INTENT, TWO_STEPS) or (intent is not None and name in (intent.new, intent.old)):
            continue
        if not name.startswith(PREFIX):
            yield Problem(path, "it is none of ours", "remove it")
        elif not _is_held(f"{aside}/{name}"):
            yield Problem(path, "a dead process has left it", "the next put or delete removes it")


def _is_held(path: str) -> bool:
    """Return whether somebody holds the lock of a file or folder, or it is gone."""
    found = syscalls.look(path)
    if found is None:
        return True
    with suppress(FileNotFoundError):
        fd = syscalls.open_file(path, syscalls.FOLDER if S_ISDIR(found.st_mode) else syscalls.READ)
        try:
            syscalls.flock(fd, syscalls.LOCK_SH | syscalls.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            syscalls.close(fd)
        return syscalls.look(path) is None
    return True


def _look_below(base: str, path: str, hashes: bool) -> Iterator[Problem | CheckedFile]:
    """Look at a file or a folder, and all that is in it."""
    yield from _look_at_name(path)
    try:
        found = syscalls.stat(f"{base}/{path}", follow_symlinks=False)
        if S_ISDIR(found.st_mode):
            names = sorted(syscalls.listdir(f"{base}/{path}"))
        elif S_ISREG(found.st_mode):
            yield from _look_at_file(base, path, found, hashes)
            return
        else:
            kind = next((text for test, text in _KINDS if test(found.st_mode)), "no file")
            yield Problem(path, f"it is {kind}", "delete it; put makes only files and folders")
            return
    except (FileNotFoundError, NotADirectoryError):
        return  # taken away meanwhile
    except OSError as error:
        yield _unreadable(path, error)
        return
    if ~found.st_mode & S_IRWXU:
        yield Problem(path, f"its owner may not do everything in it (mode {_mode(found)})", "chmod u+rwx")
    if path.count("/") > MAX_DEPTH:
        return  # told already
    for name in names:
        yield from _look_below(base, f"{path}/{name}", hashes)


def _look_at_name(path: str) -> Iterator[Problem]:
    component, _, inner = path.partition("/")
    try:
        check_part(path.rpartition("/")[2], inner or component, portable=False)
        if inner:
            check_length(inner)
    except DriveError as error:
        yield Problem(path, f"no name for a drive: {error.message.rstrip('.')}", "rename or delete it")


def _look_at_file(
    base: str, path: str, found: os.stat_result, hashes: bool
) -> Iterator[Problem | CheckedFile]:
    if "/" not in path:
        yield Problem(path, "a file where only folders of components are", "delete it")
        return
    if found.st_mode & S_IWUSR:
        yield Problem(path, f"it has write permission (mode {_mode(found)})", "chmod u-w; or put it again")
    if S_IMODE(found.st_mode) & _SET_ID:
        yield Problem(path, f"set-id bits (mode {_mode(found)})", "chmod ug-s; or put it again")
    try:
        fd = syscalls.open_file(f"{base}/{path}", syscalls.READ)
    except FileNotFoundError:
        return
    except OSError as error:
        yield _unreadable(path, error)
        return
    try:
        digest = _digest(fd) if hashes else ""
        yield CheckedFile(path, syscalls.fstat(fd).st_size, digest)
    except OSError as error:
        yield _unreadable(path, error)
    finally:
        syscalls.close(fd)


def _digest(fd: int) -> str:
    import hashlib  # noqa: PLC0415 - loads OpenSSL; no work pays for that

    with os.fdopen(syscalls.dup(fd), "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: str, error: OSError) -> Problem:
    return Problem(path, f"it can't be read: {os.strerror(error.errno or 0).lower()}", "look at the disk")


def _mode(found: os.stat_result) -> str:
    return f"{S_IMODE(found.st_mode):o}"
