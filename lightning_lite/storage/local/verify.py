"""Compares a drive on disk with the promises of drives.

It changes nothing. Works may run at the same time: files that they have staged, and files that disappear
during the check, are not reported.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from stat import S_IMODE, S_IRWXU, S_ISDIR, S_ISLNK, S_ISREG, S_IWUSR

from lightning_lite.regular_files import kind_of
from lightning_lite.storage.base import CheckedFile, Problem
from lightning_lite.storage.errors import DriveError
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.symlinks import Links
from lightning_lite.storage.local.drive_folders import INTENT, TWO_STEPS, read_intent
from lightning_lite.storage.names import MAX_DEPTH, RESERVED, check_length, check_part
from lightning_lite.storage.transfer.staging import PREFIX
from lightning_lite.trusted_roots import is_trusted

_SET_ID = 0o6000
_OTHERS = 0o077
_SHARED = 0o2070


def verify(base: str, *, hashes: bool, is_shared: bool = False) -> Iterator[Problem | CheckedFile]:
    """Yield each file of a drive, and each problem, in the order of their paths.

    In a trusted root, owners and modes are no problem: its file system may keep none.

    Args:
        base: Folder of the drive.
        hashes: Whether to read all files for their digests.
        is_shared: Whether the drive is in a group root.
    """
    yield from _check_at_base(base, is_shared)
    yield from _check_at_ours(f"{base}/{RESERVED}")
    for component in sorted(syscalls.listdir(base)):
        if component != RESERVED:
            yield from _check_below(base, component, hashes)


def _check_at_base(base: str, is_shared: bool) -> Iterator[Problem]:
    found = syscalls.stat(base)
    if is_shared:
        if S_IMODE(found.st_mode) & _SHARED != _SHARED:
            yield Problem(".", f"its group can't use it (mode {_mode(found)})", "chmod 2770")
    elif is_trusted(base):
        return
    elif found.st_uid != os.geteuid():
        yield Problem(".", f"it belongs to user {found.st_uid}", "run this command as that user")
    elif S_IMODE(found.st_mode) & _OTHERS:
        yield Problem(".", f"other users have access (mode {_mode(found)})", "chmod 700")


def _check_at_ours(own: str) -> Iterator[Problem]:
    """Check the store's own files, and report leftovers of dead processes."""
    lock = syscalls.stat_if_exists(f"{own}/lock")
    if lock is not None and not S_ISREG(lock.st_mode):
        yield Problem(
            f"{RESERVED}/lock", "the lock is not a regular file", "remove it when no process uses the drive"
        )
    staging = f"{own}/aside"
    if syscalls.stat_if_exists(staging) is None:
        yield Problem(f"{RESERVED}/aside", "it is missing", "the next put creates it")
        return
    try:
        intent = read_intent(staging)
    except DriveError:
        yield Problem(
            f"{RESERVED}/aside/{INTENT}", "it is damaged", "check the files next to it, and remove it"
        )
        intent = None
    if intent is not None and not _is_held(f"{own}/lock"):
        yield Problem(
            intent.target, "an exchange of this folder was not finished", "the next put or delete finishes it"
        )
    for name in sorted(syscalls.listdir(staging)):
        path = f"{RESERVED}/aside/{name}"
        if name in (INTENT, TWO_STEPS) or (intent is not None and name in (intent.new, intent.old)):
            continue
        if not name.startswith(PREFIX):
            yield Problem(path, "it does not belong to the drive", "remove it")
        elif not _is_held(f"{staging}/{name}"):
            yield Problem(path, "it is a leftover of a dead process", "the next put or delete removes it")


def _is_held(path: str) -> bool:
    """Return whether a file or folder is locked, or does not exist any more."""
    found = syscalls.stat_if_exists(path)
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
        return syscalls.stat_if_exists(path) is None
    return True


def _check_below(base: str, path: str, hashes: bool) -> Iterator[Problem | CheckedFile]:
    """Check a file, or a folder and everything in it."""
    yield from _check_at_name(path)
    try:
        found = syscalls.stat(f"{base}/{path}", follow_symlinks=False)
        if S_ISDIR(found.st_mode):
            names = sorted(syscalls.listdir(f"{base}/{path}"))
        elif S_ISREG(found.st_mode):
            yield from _check_at_file(base, path, found, hashes)
            return
        elif S_ISLNK(found.st_mode) and _stays_inside(base, path):
            return
        else:
            kind = kind_of(found.st_mode)
            if S_ISLNK(found.st_mode):
                kind += " that leads out of the drive"
            yield Problem(path, f"it is {kind}", "delete it; a drive contains only files and folders")
            return
    except (FileNotFoundError, NotADirectoryError):
        return  # it has just been removed
    except OSError as error:
        yield _unreadable(path, error)
        return
    if ~found.st_mode & S_IRWXU:
        yield Problem(path, f"its owner does not have all permissions (mode {_mode(found)})", "chmod u+rwx")
    if path.count("/") > MAX_DEPTH:
        return  # reported by the check of the name
    for name in names:
        yield from _check_below(base, f"{path}/{name}", hashes)


def _stays_inside(base: str, path: str) -> bool:
    """Return whether a symbolic link leads to something in the folder of its component."""
    component, _, inner = path.partition("/")
    if not inner:
        return False
    folder = syscalls.open_file(f"{base}/{component}", syscalls.FOLDER)
    try:
        return Links(folder).real(inner.split("/")) is not None
    finally:
        syscalls.close(folder)


def _check_at_name(path: str) -> Iterator[Problem]:
    component, _, inner = path.partition("/")
    try:
        check_part(path.rpartition("/")[2], inner or component, portable=False)
        if inner:
            check_length(inner)
    except DriveError as error:
        yield Problem(path, f"invalid name: {error.message.rstrip('.')}", "rename or delete it")


def _check_at_file(
    base: str, path: str, found: os.stat_result, hashes: bool
) -> Iterator[Problem | CheckedFile]:
    if "/" not in path:
        yield Problem(path, "it is a file, but only folders of components belong here", "delete it")
        return
    if found.st_mode & S_IWUSR and not is_trusted(base):
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
    import hashlib  # noqa: PLC0415 - loads OpenSSL, which works do not need

    with os.fdopen(syscalls.dup(fd), "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _unreadable(path: str, error: OSError) -> Problem:
    return Problem(path, f"it can't be read: {os.strerror(error.errno or 0).lower()}", "check the disk")


def _mode(found: os.stat_result) -> str:
    return f"{S_IMODE(found.st_mode):o}"
