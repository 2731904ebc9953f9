"""The folders of a root: opens and creates them, and refuses those that another user could have filled.

    <root>/            private root, mode 0700         group root, mode 2770 (rwxrws---)
      drives/          of its user only                of the group
      runs/, drafts/   of its user only                not there
      users/<uid>/     not there                       a private root for each user, with the user's runs

The files in a root are read, and some of them are unpickled. So each folder on the way is opened relative to
the one before, without following links, and the open descriptor is checked: a check of the path could be
followed by an exchange of the folder.

A root is a group root if its mode has the set-group-id bit and all rights of the group. Only the owner of a
folder can set these bits, and each process finds them there, so no file has to record it.

Owners and modes in a root are not checked if the user trusts all its writers (`trusted_roots`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from time import monotonic, time_ns
from typing import NamedTuple

from lightning_lite.access_lists import further_writers, remove_lists
from lightning_lite.errors import RootRefused
from lightning_lite.file_system_types import file_system_type
from lightning_lite.polling import wait_between_tries
from lightning_lite.regular_files import open_folder
from lightning_lite.trusted_roots import ROOT_MODE_VARIABLE, TRUSTED, is_trusted

#: Creates the folder at a path with permissions.
Make = Callable[[str, int], None]

#: Modes of a root that a user may ask for, besides the trusted one: private, or shared with a group.
PRIVATE, GROUP = "private", "group"

#: Modes if the user asked for none: a group root only of this user, no group root, or the mode of the folder.
OWN, UNSHARED, ANY = "own", "unshared", ""

#: Name of the default root, in the working directory.
DEFAULT_ROOT = ".lightning_lite"

#: A file of git in a new root of that name, which is often made in a working copy, and its content.
_GITIGNORE_NAME = ".gitignore"
_GITIGNORE = b"# Runs and drives of lightning_lite\n*\n"

#: Permissions of a private folder, and of a folder of the group. In a folder with the sticky bit only the
#: owner of an entry may rename or remove it.
CLOSED = 0o700
SHARED = 0o2770
_STICKY = 0o1000

#: Folder of a group root in which each user has a private root, and folder of the runs in a private root.
USERS = "users"
RUNS = "runs"

#: What to do where the file system keeps no owners or modes.
UNKEPT_ADVICE = (
    "put the root on another file system (root_dir= or LIGHTNING_LITE_ROOT), or, if all users who can write "
    f"there may run code as you, pass root_mode='trusted' or set {ROOT_MODE_VARIABLE}=trusted"
)

_GROUP_BITS = 0o2070

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


class _Root(NamedTuple):
    """The properties of a root with which its folders are compared.

    Attributes:
        path: Absolute path of the root.
        group: Group of a group root, else `None`.
        is_trusted: Whether owners and modes are not checked.
    """

    path: str
    group: int | None
    is_trusted: bool


@contextmanager
def opened(
    root: str, parts: Sequence[str] = (), *, mode: str = ANY, make: Make | None = None
) -> Iterator[OpenFolder | None]:
    """Open a folder of a root for the `with` block, after a check of each folder from the root on.

    Args:
        root: Absolute path of the root.
        parts: Names of the folders below it, the last one is opened.
        mode: `private`, `group` or `trusted`, if the user asked for that; `own` (a group root only if this
            user owns it), `unshared` (no group root), or "" for any.
        make: Creates a missing folder; `None` creates none. The parent of the root must exist.

    Yields:
        The folder, or `None` if it does not exist.

    Raises:
        RootRefused: One of the folders belongs to another user, others may write to it, or it is a link; or
            the root has another mode, or is on a file system that keeps no owners or modes.
        OSError: One of them can't be opened or created.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root, opened(root, ("drives",), make=os.mkdir) as folder:
        ...     oct(os.fstat(folder.fd).st_mode & 0o7777), folder.is_shared
        ('0o700', False)
    """
    fd, is_new = _open_root(root, mode, make)
    if fd < 0:
        yield None
        return
    try:
        try:
            checked = _check_root(fd, root, mode)
        except RootRefused:
            if is_new:
                with suppress(OSError):
                    os.rmdir(root)
            raise
        path, is_shared = root, checked.group is not None
        for part in parts:
            path = f"{path}/{part}"
            inner = _open_inner(fd, part, path, checked, SHARED if is_shared else CLOSED, make)
            outer, fd = fd, inner  # first, else a Ctrl-C between the two would close the outer one twice
            os.close(outer)
            if fd < 0:
                break
            _check_folder(fd, path, checked, is_shared=is_shared)
        yield None if fd < 0 else OpenFolder(fd, is_shared)
    finally:
        if fd >= 0:
            os.close(fd)


def own_root(root: str, *, make: Make | None = None) -> str:
    """Return the private root of this user: `root` itself, or in a group root the user's folder in it.

    Use it with `opened` and the mode `unshared`, which checks its owner.

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
        shared = _Root(root, os.fstat(top.fd).st_gid, is_trusted(root))
        users = _open_inner(top.fd, USERS, f"{root}/{USERS}", shared, SHARED | _STICKY, make)
        if users < 0:
            return own
        try:
            _check_folder(users, f"{root}/{USERS}", shared, is_shared=True)
            folder = _open_inner(users, os.path.basename(own), own, shared, CLOSED, make)
        finally:
            os.close(users)
    if folder >= 0:
        os.close(folder)
    return own


def find_unkept(folder: int) -> str:
    """Return whether the file system of a folder keeps no owners or no modes, and how a new file shows that.

    Unlike a new folder, a new file can't be replaced between its creation and the look at it, so that no
    other user can make the file system look as if it kept none.

    Args:
        folder: Descriptor of the folder, into which a file is written for a moment.

    Returns:
        For example "modes: a new file has the mode 777, not 600"; "" if they are kept, or if this user may
        not write to the folder.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as root, opened(root) as folder:
        ...     find_unkept(folder.fd)
        ''
    """
    name = f".lightning_lite-probe-{os.getpid():x}-{time_ns():x}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_CLOEXEC", 0)
    try:
        fd = os.open(name, flags, 0o600, dir_fd=folder)
    except OSError:
        return ""
    try:
        found = os.fstat(fd)
    finally:
        os.close(fd)
        with suppress(OSError):
            os.unlink(name, dir_fd=folder)
    if found.st_uid != os.geteuid():
        return f"owners: a new file belongs to user {found.st_uid}, not to user {os.geteuid()}"
    return (
        f"modes: a new file has the mode {found.st_mode & 0o777:o}, not 600" if found.st_mode & 0o077 else ""
    )


def _check_root(fd: int, path: str, mode: str) -> _Root:
    """Return the properties of an open root; refuse it if this user may not use it in this mode."""
    found = os.fstat(fd)
    # A private root with runs does not become a group root by its mode: its runs would not be found any more.
    is_shared = found.st_mode & _GROUP_BITS == _GROUP_BITS and not os.path.lexists(f"{path}/{RUNS}")
    is_own = found.st_uid == os.geteuid()
    # A mode that the user asked for in the code has priority over the variable.
    trusts = mode == TRUSTED or (mode in (OWN, UNSHARED, ANY) and is_trusted(path))
    root = _Root(path, found.st_gid if is_shared else None, trusts)
    if is_shared and mode in (PRIVATE, UNSHARED):
        raise _refused(path, "is shared with a group; use a private one, or pass root_mode='group'")
    if mode == GROUP and not is_shared:
        _refuse_file_system(fd, path)
        raise _refused(path, _why_private(fd))
    if is_shared and mode == OWN and not is_own and not trusts:
        raise _refused(
            path,
            f"is a group root of user {found.st_uid} that was not asked for by name: to share files with its "
            "group, name it with root_dir= or LIGHTNING_LITE_ROOT; else name another one",
        )
    _check_folder(fd, path, root, is_shared=is_shared)
    return root


def _why_private(fd: int) -> str:
    """Return why an open root is not a group root although the user asked for one, and what to do."""
    found = os.fstat(fd)
    if found.st_uid != os.geteuid():
        return "is private; use a new folder"
    if _is_unused(fd):
        return (
            f"can't be shared: it belongs to group {_group_name(found.st_gid)}, and you are not a member of "
            "it; make the folder yourself and run chgrp on it with a group of yours, or use another place"
        )
    return "is private: it has files already, so that its mode is kept; use a new folder"


def _check_folder(fd: int, path: str, root: _Root, *, is_shared: bool) -> None:
    """Refuse an open folder into which a user without that right could have written.

    Args:
        fd: Its descriptor.
        path: Its path, for the error.
        root: The root.
        is_shared: Whether the group of the root may write to it.
    """
    if root.is_trusted:
        return
    problem = _group_problem(fd, root) if is_shared else _owner_problem(os.fstat(fd), root)
    if problem:
        _refuse_file_system(fd, path)
        raise _refused(path, problem)


def _owner_problem(found: os.stat_result, root: _Root) -> str:
    """Return which other users could have written into a folder, and what to do, or ""."""
    if found.st_uid != os.geteuid():
        return (
            f"belongs to user {found.st_uid}; use a root of your own (root_dir= or LIGHTNING_LITE_ROOT), "
            "or let that user make a group root (root_mode='group')"
        )
    return _mode_problem(found.st_mode, 0o022, "go-w", root)


def _group_problem(fd: int, root: _Root) -> str:
    """Return which users outside the group could have written into a folder, and what to do, or ""."""
    found, group = os.fstat(fd), root.group
    assert group is not None
    if found.st_gid != group and found.st_mode & 0o020:
        return _other_group(found.st_gid, root)
    problem = _mode_problem(found.st_mode, 0o002, "o-w", root)
    if not problem and (writers := further_writers(fd, group)):
        # Without a list, the rights of its entry for the group count again; they may be fewer.
        commands = f"{_command('setfacl -R -b -k', root)} && {_command('chmod g+rwxs', root)}"
        return (
            f"has an access control list that lets {' and '.join(writers)} write; if they have put nothing "
            f"into it, run {commands}, else use another root"
        )
    return problem


def _mode_problem(mode: int, writers: int, change: str, root: _Root) -> str:
    if not mode & writers:
        return ""
    return (
        f"is writable by other users (mode {mode & 0o7777:o}); if they have put nothing into it, run "
        f"{_command(f'chmod -R {change}', root)}, else use another root"
    )


def _other_group(group: int, root: _Root) -> str:
    """Say that a folder of a group root belongs to another group than the root, as after a `chgrp` of it."""
    assert root.group is not None
    return (
        f"belongs to group {_group_name(group)}, the root to group {_group_name(root.group)}; to share all "
        f"of it with that group, run {_command(f'chgrp -R {_quoted(_group_name(root.group))}', root)} && "
        f"{_command('find', root)} -type d -perm -g=w -exec chmod g+s {{}} + as the administrator, or as the "
        "user to whom everything in it belongs"
    )


def _group_name(number: int) -> str:
    try:
        import grp  # noqa: PLC0415 - only errors need it, and not each system has it

        return grp.getgrgid(number).gr_name
    except (ImportError, KeyError):
        return str(number)


def _command(command: str, root: _Root) -> str:
    """Return a command for a terminal that is applied to a root; `chgrp -R` does not follow a link to it."""
    return f"{command} {_quoted(os.path.realpath(root.path))}"


def _quoted(word: str) -> str:
    import shlex  # noqa: PLC0415 - it imports `re`, which takes 5 ms; only errors need it

    return shlex.quote(word)


def _refuse_file_system(folder: int, path: str) -> None:
    """Refuse an open folder if its file system keeps no owners or modes: then these say nothing about it."""
    what = find_unkept(folder)
    if what:
        kind = file_system_type(path)
        raise _refused(
            path, f"is on a file system{kind and f' ({kind})'} that keeps no {what}; {UNKEPT_ADVICE}"
        )


def _open_root(root: str, mode: str, make: Make | None) -> tuple[int, bool]:
    """Return the descriptor of a root, -1 if it is missing, and whether it was created."""
    is_new = _create(root, make)
    try:
        fd = open_folder(root, follow=True)
    except FileNotFoundError:
        return -1, False
    try:
        if is_new:
            remove_lists(fd)
        if mode == GROUP and _is_unused(fd):
            if make is None:
                os.close(fd)
                return -1, False  # as if it did not exist: it becomes a group root when it is used
            remove_lists(fd)
            _open_to_group(fd)
        if is_new and os.path.basename(root) == DEFAULT_ROOT:
            with suppress(OSError):  # the root works without it
                _write_gitignore(fd)
    except BaseException:
        os.close(fd)
        raise
    return fd, is_new


def _open_to_group(fd: int) -> None:
    """Try to set the mode of a group root. If that fails, the mode stays, and the later check reports it.

    A file system may keep no modes. The system drops the set-group-id bit, and only that one, if this user
    is not a member of the group of the folder.
    """
    mode = os.fstat(fd).st_mode & 0o7777
    with suppress(PermissionError):
        os.fchmod(fd, SHARED | _STICKY)
        if os.fstat(fd).st_mode & _GROUP_BITS != _GROUP_BITS:
            os.fchmod(fd, mode)


def _write_gitignore(root: int) -> None:
    file = os.open(_GITIGNORE_NAME, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600, dir_fd=root)
    try:
        os.write(file, _GITIGNORE)
    finally:
        os.close(file)


def _is_unused(fd: int) -> bool:
    """Return whether an open folder is one of this user without a file of theirs, and no group root."""
    found = os.fstat(fd)
    is_private = found.st_uid == os.geteuid() and found.st_mode & _GROUP_BITS != _GROUP_BITS
    return is_private and set(os.listdir(fd)) <= {_GITIGNORE_NAME}


def _create(path: str, make: Make | None) -> bool:
    """Create a folder, and return whether it was created; `None` creates none."""
    if make is None:
        return False
    try:
        make(path, CLOSED)
    except FileExistsError:
        return False
    return True


def _open_inner(parent: int, name: str, path: str, root: _Root, permissions: int, make: Make | None) -> int:
    """Open a folder in an open one, and create it before with `make`; return -1 if it is missing."""
    is_new = _create(path, make)
    fd = _open_existing(parent, name, path, root, is_shared=permissions != CLOSED)
    if is_new and fd >= 0:
        try:
            remove_lists(fd)
            if permissions != CLOSED:
                os.fchmod(fd, permissions)
        except BaseException:
            os.close(fd)
            raise
    return fd


def _open_existing(parent: int, name: str, path: str, root: _Root, *, is_shared: bool) -> int:
    """Open a folder in an open one; return -1 if it is missing.

    If it is shared, another user of the group may have just created it. That user's next call gives the group
    access to it, so this waits for a moment.
    """
    deadline = monotonic() + _CREATION_TIME
    while True:
        try:
            return open_folder(name, dir_fd=parent)
        except FileNotFoundError:
            return -1
        except PermissionError as error:
            error.filename = path
            if not is_shared:
                raise
            group = os.stat(name, dir_fd=parent, follow_symlinks=False).st_gid
            if group != root.group:
                raise _refused(path, _other_group(group, root)) from error
            if monotonic() > deadline:
                raise
        except OSError as error:
            error.filename = path
            if os.path.islink(path):
                raise _refused(
                    path, "is a symbolic link; let the root itself be a link, or mount the disk there"
                ) from error
            raise
        wait_between_tries(_PAUSE)


def _refused(path: str, what: str) -> RootRefused:
    return RootRefused(f"the folder {path!r} {what}", path=path)
