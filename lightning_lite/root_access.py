"""The folders of a root: opens and creates them, and refuses those that another user could have filled.

    <root>/            private root, mode 0700         group root, mode 2770 (rwxrws---)
      drives/          of its user only                of the group
      runs/, drafts/   of its user only                not there
      users/<uid>/     not there                       a private root for each user, with the user's runs

What is in a root is read, and a part of it is unpickled. So each folder on the way is opened relative to the
one before, without following links, and the open descriptor is checked: a check of the path could be followed
by an exchange of the folder.

A root is a group root if its mode has the set-group-id bit and all rights of the group. Only the owner of a
folder can set these bits, and each process finds them there, so no file has to record it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from select import select
from time import monotonic

from lightning_lite.errors import RootRefused
from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

    #: Creates the folder at a path with permissions.
    Make = Callable[[str, int], None]

#: Modes of a root: private, shared with a group, a group root only of this user, or what the folder says.
PRIVATE, GROUP, OWN, ANY = "private", "group", "own", ""

#: Name of the default root, in the working directory.
DEFAULT_ROOT = ".lightning_lite"

#: Content of the `.gitignore` in a new root of that name, which is often made in a working copy.
_GITIGNORE = b"# Runs and drives of lightning_lite\n*\n"

#: Permissions of a private folder, and of a folder of the group. In a folder with the sticky bit only the
#: owner of an entry may rename or remove it.
CLOSED = 0o700
SHARED = 0o2770
_STICKY = 0o1000

#: Folder of a group root in which each user has a private root, and folder of the runs in a private root.
USERS = "users"
RUNS = "runs"

_GROUP_BITS = 0o2070
_OPEN = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)

#: Seconds within which another user opens a new folder to the group: `mkdir` alone can't set all bits.
_CREATION_TIME = 1.0
_PAUSE = 0.002


class OpenFolder(NamedTuple):
    """An open folder of a root, checked.

    Attributes:
        fd: Its descriptor.
        is_shared: Whether it belongs to the group of a group root.
    """

    fd: int
    is_shared: bool


@contextmanager
def opened(
    root: str, parts: Sequence[str] = (), *, mode: str = ANY, make: Make | None = None
) -> Iterator[OpenFolder | None]:
    """Open a folder of a root for the `with` block, after a check of each folder from the root on.

    Args:
        root: Absolute path of the root.
        parts: Names of the folders below it, the last one is opened.
        mode: `private`, `group`, `own` (a group root only if this user owns it), or "" for any.
        make: Creates a missing folder; `None` creates none. The parent of the root must exist.

    Yields:
        The folder, or `None` if it does not exist.

    Raises:
        RootRefused: One of the folders belongs to another user, others may write to it, or it is a link; or
            the root has another mode.
        OSError: One of them can't be opened or created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root, opened(root, ("drives",), make=os.mkdir) as folder:
        ...     oct(os.fstat(folder.fd).st_mode & 0o7777), folder.is_shared
        ('0o700', False)
    """
    fd = _open_root(root, mode, make)
    if fd is None:
        yield None
        return
    try:
        top = os.fstat(fd)
        is_shared, path = check_root(top, root, mode), root
        for part in parts:
            path = f"{path}/{part}"
            inner = _open_inner(fd, part, path, SHARED if is_shared else CLOSED, make)
            os.close(fd)
            fd = -1
            if inner is None:
                break
            fd = inner
            check_folder(os.fstat(fd), path, top.st_gid if is_shared else None)
        yield None if fd < 0 else OpenFolder(fd, is_shared)
    finally:
        if fd >= 0:
            os.close(fd)


def own_root(root: str, *, make: Make | None = None) -> str:
    """Return the private root of this user: `root` itself, or in a group root the user's folder in it.

    Use it with `opened` and the mode `private`, which checks its owner.

    Args:
        root: Absolute path of the root, which may not exist.
        make: Creates the missing folders of a group root; `None` creates none.

    Raises:
        RootRefused: See `opened`.
        OSError: A folder can't be opened or created.

    Example:
        >>> own_root("/no/such/root")
        '/no/such/root'
    """
    with opened(root) as top:
        if top is None or not top.is_shared:
            return root
        own = f"{root}/{USERS}/{os.geteuid()}"
        users = _open_inner(top.fd, USERS, f"{root}/{USERS}", SHARED | _STICKY, make)
        if users is None:
            return own
        try:
            check_folder(os.fstat(users), f"{root}/{USERS}", os.fstat(top.fd).st_gid)
            folder = _open_inner(users, os.path.basename(own), own, CLOSED, make)
        finally:
            os.close(users)
    if folder is not None:
        os.close(folder)
    return own


def check_root(found: os.stat_result, path: str, mode: str) -> bool:
    """Refuse a root that this user may not use in this mode, and return whether it is a group root.

    Args:
        found: Status of the open root.
        path: Its path, for the error.
        mode: As for `opened`.
    """
    # A private root with runs does not become a group root by its mode: its runs would not be found any more.
    is_shared = found.st_mode & _GROUP_BITS == _GROUP_BITS and not os.path.lexists(f"{path}/{RUNS}")
    is_own = found.st_uid == os.geteuid()
    if is_shared and mode == PRIVATE:
        raise _refused(path, "is shared with a group; use a private one, or pass root_mode='group'")
    if mode == GROUP and not is_shared:
        what = "is private: it has files already, so that its mode is kept" if is_own else "is private"
        raise _refused(path, f"{what}; use a new folder")
    if is_shared and mode == OWN and not is_own:
        raise _refused(
            path,
            f"is a group root of user {found.st_uid} that was not asked for by name: to share files with its "
            "group, name it with root_dir= or LIGHTNING_LITE_ROOT; else name another one",
        )
    if is_shared:
        check_folder(found, path, found.st_gid)
    else:
        check_folder(found, path, None)
    return is_shared


def check_folder(found: os.stat_result, path: str, group: int | None) -> None:
    """Refuse a folder into which a user without that right could have written.

    Args:
        found: Status of the open folder.
        path: Its path, for the error.
        group: Group of the group root, or `None` for a folder of this user only.
    """
    if group is None and found.st_uid != os.geteuid():
        raise _refused(
            path,
            f"belongs to user {found.st_uid}; use a root of your own (root_dir= or LIGHTNING_LITE_ROOT), "
            "or let that user make a group root (root_mode='group')",
        )
    writers = 0o022 if group is None or found.st_gid != group else 0o002
    if found.st_mode & writers:
        raise _refused(
            path,
            f"is writable by other users (mode {found.st_mode & 0o7777:o}); if they have put nothing into "
            f"it, run chmod {'go-w' if writers & 0o020 else 'o-w'} on it, else use another root",
        )


def check_own_file(found: os.stat_result) -> str:
    """Return why a file is not read that may be unpickled, or "" if only this user may have written it.

    Args:
        found: Status of the open file.
    """
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}"
    return "other users may write to it" if found.st_mode & 0o022 else ""


def _open_root(root: str, mode: str, make: Make | None) -> int | None:
    is_new = False
    if make is not None:
        try:
            make(root, CLOSED)
            is_new = True
        except FileExistsError:
            pass
    try:
        fd = os.open(root, _OPEN)
    except FileNotFoundError:
        return None
    try:
        if mode == GROUP and _is_unused(fd):
            if make is None:
                os.close(fd)
                return None  # as if it did not exist: it becomes a group root when it is used
            os.fchmod(fd, SHARED | _STICKY)
        if is_new and os.path.basename(root) == DEFAULT_ROOT:
            with suppress(OSError):  # the root works without it
                _write_gitignore(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _write_gitignore(root: int) -> None:
    file = os.open(".gitignore", os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_LINK, 0o600, dir_fd=root)
    try:
        os.write(file, _GITIGNORE)
    finally:
        os.close(file)


def _is_unused(fd: int) -> bool:
    """Return whether an open folder is an empty one of this user, and no group root."""
    found = os.fstat(fd)
    is_private = found.st_uid == os.geteuid() and found.st_mode & _GROUP_BITS != _GROUP_BITS
    return is_private and not os.listdir(fd)


def _open_inner(parent: int, name: str, path: str, permissions: int, make: Make | None) -> int | None:
    """Open a folder in an open one, and create it before with `make`; return `None` if it is missing."""
    is_new = False
    if make is not None:
        try:
            make(path, CLOSED)
            is_new = True
        except FileExistsError:
            pass
    deadline = monotonic() + _CREATION_TIME
    while True:
        try:
            fd = os.open(name, _OPEN | _NO_LINK, dir_fd=parent)
            break
        except FileNotFoundError:
            return None
        except PermissionError:
            # Another user of the group has just created it, and opens it to the group in its next call.
            if permissions == CLOSED or monotonic() > deadline:
                raise
            select((), (), (), _PAUSE)
        except OSError as error:
            if os.path.islink(path):
                raise _refused(
                    path, "is a symbolic link; let the root itself be a link, or mount the disk there"
                ) from error
            error.filename = path
            raise
    if is_new and permissions != CLOSED:
        os.fchmod(fd, permissions)
    return fd


def _refused(path: str, what: str) -> RootRefused:
    return RootRefused(f"the folder {path!r} {what}", path=path)
