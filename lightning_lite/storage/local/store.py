"""The store that keeps drives as plain files in a local folder.

The source of a put is staged without the drive's lock: it is copied, or moved if that is allowed. Then,
under the lock, the staged file or folder is moved to its place in one step.

Each visible change is one `rename` or one exchange of two folders. Missing parent folders are staged as well,
so that they appear together with their content. While a reader has a folder open, nothing in that folder
changes: it is cloned with hard links, the clone is changed, and the two are exchanged; the reader keeps the
old folder.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from stat import S_IMODE, S_ISDIR
from typing import BinaryIO

from lightning_lite.root_access import ANY, CLOSED, own_root
from lightning_lite.storage.base import (
    CheckedFile,
    Destination,
    Entry,
    OnProgress,
    Page,
    Parts,
    Problem,
    Source,
)
from lightning_lite.storage.errors import (
    DriveDuplicate,
    DriveIdError,
    DriveIsDirectory,
    DriveNotADirectory,
    DriveOSError,
    not_owned,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import SMALL, Bounds, clone_tree
from lightning_lite.storage.fs.symlinks import target_of
from lightning_lite.storage.fs.watch import Arrivals
from lightning_lite.storage.local.drive_folders import DriveFolders, checked, exchange, make_folder, refusals
from lightning_lite.storage.local.lookup import Lookup
from lightning_lite.storage.local.name_index import NameIndex
from lightning_lite.storage.local.verify import verify
from lightning_lite.storage.names import PROTOCOL, RESERVED, drive_name
from lightning_lite.storage.transfer.delivery import Delivery
from lightning_lite.storage.transfer.move import (
    NotMovable,
    content_obstacle,
    hard_link,
    is_movable,
    place_obstacle,
    protected,
    remove_copied,
    remove_source,
    warn_that_it_stays,
)
from lightning_lite.storage.transfer.staging import SourceCopy, StagingFolder


def drive_names(root: str) -> list[str]:
    """Return the names of the drives in a root, sorted; the list is empty if the folder is not a root.

    Args:
        root: Absolute folder that holds all drives.
    """
    try:
        with checked(root, ("drives",)) as folder:
            names = syscalls.listdir(folder.fd) if folder is not None else []
    except NotADirectoryError:
        return []
    return sorted(name for name in names if _is_drive(f"{root}/drives/{name}", name))


def private_root(root: str, *, make: bool = True) -> str:
    """Return the root of this user alone: `root`, or in a group root the user's folder in it.

    Args:
        root: Absolute folder that holds all drives.
        make: Whether the user's folder in a group root is created if it is missing.

    Raises:
        DriveRefused: Another user could have written into it.
    """
    with refusals():
        return own_root(root, make=make_folder if make else None)


def _is_drive(path: str, name: str) -> bool:
    try:
        drive_name(PROTOCOL + name)
    except DriveIdError:
        return False
    ours = syscalls.stat_if_exists(f"{path}/{RESERVED}")
    return ours is not None and S_ISDIR(ours.st_mode)


class LocalStore:
    """Keeps one drive in a folder of this machine; see `Store` for the methods.

    Args:
        root: Absolute folder that holds all drives.
        name: Name of the drive.
        mode: With whom the root may be shared, see `root_access.opened`.
    """

    def __init__(self, root: str, name: str, mode: str = ANY) -> None:
        self._root = root
        self._folders = DriveFolders(root, name, mode)
        self._name_index = NameIndex(self._folders.names, self._folders.staging)
        self._lookup = Lookup(self._folders)

    def put(
        self,
        owner: str,
        parts: Parts,
        source: Source,
        *,
        exclusive: bool,
        move: bool,
        durable: bool,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Store a file or a folder; see `Store`."""
        bounds = Bounds(source.folder, self._root, follow_symlinks=source.follow_symlinks)
        fd = bounds.open(source.path)
        try:
            self._folders.prepare(durable=durable)
            put = Put(
                self._folders,
                self._name_index,
                owner,
                parts,
                source,
                bounds,
                fd,
                exclusive=exclusive,
                durable=durable,
            )
            put.check()
            if move:
                put.move(on_progress)
            else:
                put.copy(on_progress)
        finally:
            syscalls.close(fd)

    def get(
        self,
        parts: Parts,
        destination: Destination,
        *,
        owner: str | None,
        on_progress: OnProgress | None = None,
    ) -> None:
        """Copy one version of a file or a folder to `destination`; see `Store`."""
        with self._lookup.opened(parts, owner) as fd:
            Delivery(destination).copy(fd, self._folders.staging, on_progress)

    def delete(self, owner: str, parts: Parts, *, durable: bool) -> None:
        """Remove a file or folder of `owner`; see `Store`."""
        if not self._folders.exists():
            raise not_owned(owner, parts, [])
        self._folders.staging.sweep()
        with self._folders.changing():
            owners = self._folders.owners(parts)
            if owner not in owners:
                raise not_owned(owner, parts, owners)
            Committer(self._folders, self._name_index, durable=durable).remove((owner, *parts))
        self._folders.staging.sweep()

    def names(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[str]:
        """Return paths at and below `parts`; see `Store`."""
        return self._lookup.names(parts, owner, recursive=recursive)

    def entries(self, parts: Parts, *, owner: str | None, recursive: bool) -> list[Entry]:
        """Return entries at and below `parts`; see `Store`."""
        return self._lookup.entries(parts, owner, recursive=recursive)

    def page(self, parts: Parts, *, owner: str | None, after: tuple[str, str], limit: int) -> Page:
        """Return some of the entries in a folder; see `Store`."""
        return self._lookup.page(parts, owner, after, limit)

    def owners(self, parts: Parts) -> list[str]:
        """Return the components that have something at `parts`; see `Store`."""
        return self._lookup.owners(parts)

    def is_folder(self, parts: Parts, *, owner: str | None) -> bool:
        """Return whether a folder is at `parts`; see `Store`."""
        return self._lookup.is_folder(parts, owner)

    def open(self, parts: Parts, *, owner: str | None) -> BinaryIO:
        """Open a file for reading; see `Store`."""
        with self._lookup.opened(parts, owner) as fd:
            if S_ISDIR(syscalls.fstat(fd).st_mode):
                raise DriveIsDirectory(f"{shown('/'.join(parts))} is a folder; open a file in it, or get it.")
            return os.fdopen(syscalls.dup(fd), "rb")

    def wait(self, is_there: Callable[[], bool], timeout: float) -> bool:
        """Wait for something new; see `Store`."""
        deadline = time.monotonic() + timeout
        self._folders.prepare(durable=False)
        with Arrivals(self._folders.staging.folder) as arrivals:
            while not is_there():
                left = deadline - time.monotonic()
                if left <= 0:
                    return False
                arrivals.wait(left)
        return True

    @contextmanager
    def draft(self) -> Iterator[str]:
        """Give a free path on the same disk; see `Store`."""
        folder = f"{self._root}/drafts"
        self._folders.prepare(durable=False)
        with suppress(FileExistsError):
            syscalls.mkdir(folder, CLOSED)
        staging = StagingFolder(folder)
        staging.sweep()
        with staging.new_folder() as staged:
            yield f"{staged.path}/draft"

    def local_path(self, owner: str, parts: Parts) -> str:
        """Return the path of a file or folder in the drive; see `Store`."""
        self._folders.check()
        return "/".join((self._folders.base, owner, *parts))

    def verify(self, *, hashes: bool) -> Iterator[Problem | CheckedFile]:
        """Compare the drive with the promises of drives; see `Store`."""
        self._folders.check()
        return verify(self._folders.base, hashes=hashes, is_shared=self._folders.is_shared)


#: Errors of `rename` if the folder of a source can't be moved: its place can't be written, or it is in use.
_NOT_MOVED = frozenset({errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS, errno.EBUSY})


class Put:
    """One `put`.

    Args:
        folders: The folders of the drive.
        name_index: Names in its big folders.
        owner: Component that puts.
        parts: Path below its folder.
        source: File or folder that is put.
        bounds: Opens the targets of symbolic links in the source.
        fd: Descriptor of the source.
        exclusive: Refuse if another component has something there.
        durable: Whether the put must survive a loss of power.
    """

    def __init__(
        self,
        folders: DriveFolders,
        name_index: NameIndex,
        owner: str,
        parts: Parts,
        source: Source,
        bounds: Bounds,
        fd: int,
        *,
        exclusive: bool,
        durable: bool,
    ) -> None:
        self._folders = folders
        self._name_index = name_index
        self._owner = owner
        self._parts = parts
        self._source = source
        self._bounds = bounds
        self._fd = fd
        self._copy = SourceCopy(source, bounds, fd)
        self._is_folder = self._copy.is_folder
        self._exclusive = exclusive
        self._durable = durable
        self._committer = Committer(folders, name_index, durable=durable)

    def check(self) -> None:
        """Refuse before a long copy a path that the check under the lock would refuse after it."""
        self._copy.warn_of_log()
        if not self._is_folder and self._copy.info.st_size <= SMALL:
            return  # the copy is so short that the check before the commit is early enough
        self._check_place(is_locked=False)
        path = "/".join(self._parts)
        check_replacement(f"{self._folders.base}/{self._owner}/{path}", path, is_folder=self._is_folder)

    def copy(self, on_progress: OnProgress | None) -> None:
        """Copy the source into the drive."""
        staging = self._folders.staging
        with staging.new_folder() if self._is_folder else staging.new_file() as staged:
            self._copy.copy_to(
                staged, self._folders.stored_mode, durable=self._durable, on_progress=on_progress
            )
            self._place(staged.path)
            # After an exchange, the staged path holds the old folder: let the staging remove it.
            staged.is_placed = not self._is_folder

    def move(self, on_progress: OnProgress | None) -> None:
        """Move the source into the drive if possible; else copy it, and remove it.

        A source that can't be removed, or that a process has open for writing, is copied and stays.
        """
        path = self._source.path
        obstacle = place_obstacle(self._fd, path)
        if obstacle is None:
            # In a group root a moved file would keep its owner's other group, and all open descriptors.
            can_move = not self._folders.is_shared
            if can_move and (self._move_folder() if self._is_folder else self._move_file(on_progress)):
                return
            obstacle = content_obstacle(self._fd, path)
            self._copy.refresh()  # the attempt to move it has changed its status
        if obstacle is not None:
            warn_that_it_stays(path, obstacle)  # before the copy: if warnings are errors, nothing is put
            self.copy(on_progress)
            return
        self.copy(on_progress)
        remove_copied(self._copy)

    def _check_place(self, *, is_locked: bool) -> None:
        """Refuse a path that another component has, and another form of an existing name."""
        components = self._folders.components() if self._exclusive else [self._owner]
        for component in components:
            if component != self._owner and self._folders.has(component, self._parts):
                raise DriveDuplicate(
                    f"The file {shown('/'.join(self._parts))} can't be added as already found in the Drive. "
                    f"It belongs to {shown(component)}: use another name, "
                    f"Drive(..., component_name={component!r}) to act as its owner, "
                    f"or Drive(..., allow_duplicates=True).",
                    owner=component,
                )
        if self._source.portable:
            for component in components:
                space = f"{self._folders.base}/{component}"
                self._name_index.refuse_other_form(space, self._parts, is_locked=is_locked)

    def _place(self, staged: str) -> None:
        with self._folders.changing():
            self._check_place(is_locked=True)
            self._committer.place(staged, (self._owner, *self._parts), is_folder=self._is_folder)

    def _move_file(self, on_progress: OnProgress | None) -> bool:
        """Move the source file into the drive by a hard link; return whether that was possible."""
        path = self._source.path
        try:
            with hard_link(self._fd, self._source, self._folders.staging) as link:
                if link is None:
                    return False
                with protected(self._fd, link):
                    if self._durable:
                        syscalls.fsync(self._fd)
                    self._place(link)
        except NotMovable:
            return False
        stays = remove_source(self._fd, path)
        if stays is None and syscalls.fstat(self._fd).st_nlink > 1:
            stays = "another process has renamed it"  # so its new name and the drive share one file
        if stays is not None:
            self._separate(stays, on_progress)
        return True

    def _separate(self, reason: str, on_progress: OnProgress | None) -> None:
        """Replace a hard link in the drive, whose other name can't be removed, by a copy."""
        self._copy.refresh()
        try:
            self.copy(on_progress)
            syscalls.fchmod(self._fd, S_IMODE(self._copy.mode))
        except OSError as error:
            raise DriveOSError(
                f"put {shown('/'.join(self._parts))}: the drive has it, but its source "
                f"{shown(self._source.path)} is the same file and could not be removed ({reason}), nor be "
                f"copied ({error}); remove it.",
                errno=error.errno,
            ) from error
        warn_that_it_stays(self._source.path, reason)

    def _move_folder(self) -> bool:
        parts = (self._owner, *self._parts)
        if self._durable:
            return False  # flushing all its files takes as long as a copy
        with suppress(FileExistsError):
            self._folders.staging.make_parent(f"{self._folders.base}/{self._owner}", CLOSED)
        if not self._committer.can_move_in(self._fd, parts) or not is_movable(
            self._fd, self._source, self._bounds
        ):
            return False
        try:
            with (
                protected(self._fd, self._source.path),
                self._folders.staging.new_file(),  # its removal is the event that wakes waiting readers
                self._folders.changing(),
            ):
                self._check_place(is_locked=True)
                return self._committer.move_in(self._source.path, parts)
        except NotMovable:
            return False
        except OSError as error:
            if error.errno not in _NOT_MOVED:
                raise
            return False


class Committer:
    """Changes the visible files of a drive.

    Args:
        folders: The folders of the drive.
        name_index: Names in its big folders.
        durable: Whether a change is flushed to the disk before the method returns.
    """

    def __init__(self, folders: DriveFolders, name_index: NameIndex, *, durable: bool) -> None:
        self._base = folders.base
        self._staging = folders.staging
        self._name_index = name_index
        self._durable = durable

    def place(self, staged: str, parts: tuple[str, ...], *, is_folder: bool) -> None:
        """Move the file or folder at `staged` to the path `parts` below the base, and replace the old one.

        Raises:
            DriveIsDirectory: A file would replace a folder.
            DriveNotADirectory: A folder would replace a file, or a parent is a file.
        """
        path = "/".join((self._base, *parts))
        with self._parents(parts) as (known, busy):
            if is_folder:  # for a file, rename() reports it
                check_replacement(path, "/".join(parts[1:]), is_folder=True)
            try:
                if busy:
                    self._change_clone(busy, parts, staged)
                elif known < len(parts) - 1:
                    self._place_with_parents(staged, parts, known)
                else:
                    self._replace(staged, path, is_folder=is_folder)
            except IsADirectoryError:
                check_replacement(path, "/".join(parts[1:]), is_folder=is_folder)
                raise

    def can_move_in(self, source: int, parts: tuple[str, ...]) -> bool:
        """Return whether the open folder `source` can be moved to the path `parts` at the moment."""
        path = "/".join((self._base, *parts))
        parent = syscalls.stat_if_exists(os.path.dirname(path))
        is_near = parent is not None and parent.st_dev == syscalls.fstat(source).st_dev
        return is_near and syscalls.stat_if_exists(path) is None

    def move_in(self, source: str, parts: tuple[str, ...]) -> bool:
        """Move the folder `source` from outside the drive to the path `parts`, if one `rename` is enough.

        Returns:
            Whether it was moved; if not, nothing has changed.
        """
        path = "/".join((self._base, *parts))
        with self._parents(parts) as (known, busy):
            if busy or known < len(parts) - 1 or syscalls.stat_if_exists(path) is not None:
                return False
            with self._name_index.kept_current(path):
                syscalls.rename(source, path)
            self._flush(path)
            return True

    def remove(self, parts: tuple[str, ...]) -> None:
        """Remove the path `parts` below the base."""
        with self._parents(parts) as (_, busy):
            path = "/".join((self._base, *parts))
            if busy:
                self._change_clone(busy, parts, None)
                return
            is_folder = S_ISDIR(syscalls.stat(path, follow_symlinks=False).st_mode)
            with self._name_index.kept_current(path):
                if is_folder:
                    syscalls.rename(path, self._staging.new_path())
                else:
                    syscalls.unlink(path)
            self._flush(path)

    @contextmanager
    def _parents(self, parts: tuple[str, ...]) -> Iterator[tuple[int, int]]:
        """Lock the existing parents of a path, so that no reader opens one of them.

        Yields:
            The number of parents that exist, and the depth of the highest one that a reader has open, or 0.
        """
        held: list[int] = []
        busy = 0
        try:
            fd, path = None, f"{self._base}/{parts[0]}"
            for depth, part in enumerate((path, *parts[1:-1]), start=1):
                try:
                    fd = syscalls.open_file(part, syscalls.FOLDER, dir_fd=fd)
                except FileNotFoundError:
                    break
                except NotADirectoryError:
                    there = "/".join((self._base, *parts[:depth]))
                    kind = "a file" if target_of(there) is None else "a symbolic link"
                    raise DriveNotADirectory(
                        f"{shown('/'.join(parts[1:depth]))} in the drive is {kind}, so nothing can be put or "
                        f"removed below it; use another path."
                    ) from None
                held.append(fd)
                # The first part, the folder of the component, is never pinned.
                if depth > 1 and not busy and not syscalls.try_lock(fd):
                    busy = depth
            yield len(held), busy
        finally:
            for fd in held:
                syscalls.close(fd)

    def _place_with_parents(self, staged: str, parts: tuple[str, ...], known: int) -> None:
        """Stage the missing parents with `staged` in them, and move the highest one to its place."""
        with self._staging.new_folder() as top:
            folder = top.path
            for depth, part in enumerate(parts[known:-1], start=known):
                folder = f"{folder}/{part}"
                # The folder of the component, the first one, closes everything below it to other users.
                self._staging.make_parent(folder, 0o755 if depth else CLOSED)
            place = f"{folder}/{parts[-1]}"
            syscalls.rename(staged, place)
            self._flush(place, top.path)
            self._replace(
                f"{top.path}/{parts[known]}", "/".join((self._base, *parts[: known + 1])), is_folder=True
            )

    def _replace(self, staged: str, path: str, *, is_folder: bool) -> None:
        if is_folder and syscalls.stat_if_exists(path) is not None:
            self._exchange(staged, path)
        else:
            with self._name_index.kept_current(path):
                syscalls.rename(staged, path)
        self._flush(path)

    def _change_clone(self, depth: int, parts: tuple[str, ...], staged: str | None) -> None:
        """Change a folder that a reader has open: change a clone of it, and exchange the two."""
        path = "/".join((self._base, *parts[:depth]))
        inner = parts[depth:]
        with self._staging.new_folder() as clone:
            fd = syscalls.open_file(path, syscalls.FOLDER)
            try:
                clone_tree(fd, clone.fd, skip=inner)
            finally:
                syscalls.close(fd)
            if staged is not None:
                folder = clone.path
                for part in inner[:-1]:
                    folder = f"{folder}/{part}"
                    if syscalls.stat_if_exists(folder) is None:
                        self._staging.make_parent(folder)
                place = f"{folder}/{inner[-1]}"
                syscalls.rename(staged, place)
                self._flush(place, clone.path)
            self._exchange(clone.path, path)
        self._flush(path)

    def _exchange(self, new: str, target: str) -> None:
        with self._name_index.kept_current(target):
            exchange(new, target, self._base, self._staging)

    def _flush(self, path: str, top: str | None = None) -> None:
        """Flush the name at `path` and the names above it up to `top`, or up to the base.

        Names above it may not be flushed yet, because an earlier put that was not durable made them.
        """
        end = len(top or self._base)
        while self._durable and len(path := os.path.dirname(path)) >= end:
            syscalls.flush_folder(path)


def check_replacement(path: str, name: str, *, is_folder: bool) -> None:
    """Refuse to replace a folder with a file, or a file with a folder.

    Args:
        path: Path that would be replaced.
        name: Its name for the error.
        is_folder: Whether a folder would replace it.
    """
    there = syscalls.stat_if_exists(path)
    if there is None or S_ISDIR(there.st_mode) == is_folder:
        return
    if is_folder:
        raise DriveNotADirectory(
            f"The folder {shown(name)} can't replace the file that is there; remove it first."
        )
    raise DriveIsDirectory(f"The file {shown(name)} can't replace the folder that is there; remove it first.")
