"""One `put` into a local drive: staged without the lock, then committed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from stat import S_ISDIR, S_ISREG

from lightning_lite.storage.base import OnProgress, Parts, Source
from lightning_lite.storage.errors import DriveDuplicate, DriveError, DriveSourceChanged, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.copy import SMALL
from lightning_lite.storage.fs.permissions import restored_mode, stored_mode
from lightning_lite.storage.fs.symlinks import Bounds
from lightning_lite.storage.fs.trees import TreeCopier, copy_file, empty_folder, is_same
from lightning_lite.storage.local.commit import Committer, check_replacement
from lightning_lite.storage.local.layout import CLOSED, Layout
from lightning_lite.storage.local.staging import Staged, StagingFolder


class Put:
    """One `put`.

    Args:
        layout: The folders of the drive.
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
        layout: Layout,
        owner: str,
        parts: Parts,
        source: Source,
        bounds: Bounds,
        fd: int,
        *,
        exclusive: bool,
        durable: bool,
    ) -> None:
        self._layout = layout
        self._owner = owner
        self._parts = parts
        self._source = source
        self._bounds = bounds
        self._fd = fd
        self._info = syscalls.fstat(fd)
        self._is_folder = S_ISDIR(self._info.st_mode)
        self._exclusive = exclusive
        self._durable = durable
        self._committer = Committer(layout, durable=durable)

    def check(self) -> None:
        """Refuse early what would be refused after a long copy."""
        if not self._is_folder and self._info.st_size <= SMALL:
            return  # the copy is so short that the check before the commit is early enough
        self._check_place(is_locked=False)
        path = "/".join(self._parts)
        check_replacement(f"{self._layout.space(self._owner)}/{path}", path, is_folder=self._is_folder)

    def copy(self, on_progress: OnProgress) -> None:
        """Copy the source into the drive."""
        staging = self._layout.staging
        with staging.new_folder() if self._is_folder else staging.new_file() as staged:
            self._fill(staged, on_progress)
            self._place(staged.path)
            staged.is_placed = (
                not self._is_folder
            )  # a folder may have been exchanged with the one that it replaces

    def move(self, on_progress: OnProgress) -> None:
        """Move the source into the drive if possible; else copy it, and remove it."""
        moved = self._move_folder() if self._is_folder else self._move_file()
        if not moved:
            self.copy(on_progress)
        if not (moved and self._is_folder):
            remove_source(self._fd, self._source.path)

    def _check_place(self, *, is_locked: bool) -> None:
        """Refuse a path that another component has, and another form of an existing name."""
        components = self._layout.components() if self._exclusive else [self._owner]
        for component in components:
            if component != self._owner and self._layout.has(component, self._parts):
                raise DriveDuplicate(
                    f"The file {shown('/'.join(self._parts))} can't be added as already found in the Drive. "
                    f"It belongs to {shown(component)}: use another name, "
                    f"Drive(..., component_name={component!r}) to act as its owner, "
                    f"or Drive(..., allow_duplicates=True).",
                    owner=component,
                )
        if self._source.portable:
            for component in components:
                space = self._layout.space(component)
                self._layout.name_index.refuse_other_form(space, self._parts, is_locked=is_locked)

    def _place(self, staged: str) -> None:
        with self._layout.changing():
            self._check_place(is_locked=True)
            self._committer.place(staged, (self._owner, *self._parts), is_folder=self._is_folder)

    def _move_file(self) -> bool:
        with hard_link(self._fd, self._source, self._layout.staging) as link:
            if link is None:
                return False
            with protected(self._fd, link):
                if self._durable:
                    syscalls.fsync(self._fd)
                self._place(link)
        return True

    def _move_folder(self) -> bool:
        parts = (self._owner, *self._parts)
        if self._durable:
            return False  # flushing all its files takes as long as a copy
        with suppress(FileExistsError):
            syscalls.mkdir(self._layout.space(self._owner), CLOSED)
        if not self._committer.can_move_in(self._fd, parts) or not is_movable(
            self._fd, self._source, self._bounds
        ):
            return False
        try:
            with (
                protected(self._fd, self._source.path),
                self._layout.staging.new_file(),  # its removal is the event that wakes waiting readers
                self._layout.changing(),
            ):
                self._check_place(is_locked=True)
                return self._committer.move_in(self._source.path, parts)
        except NotMovable:
            return False

    def _fill(self, staged: Staged, on_progress: OnProgress) -> None:
        source = self._source
        if not self._is_folder:
            mode = stored_mode(self._info.st_mode)
            copy_file(
                self._fd,
                staged.fd,
                self._info,
                mode,
                name=source.path,
                durable=self._durable,
                on_progress=on_progress,
            )
            return
        copier = TreeCopier(
            mode=stored_mode,
            check=source.check,
            check_folder=self._bounds.refuse_root,
            open_link=lambda path: self._bounds.open(f"{source.path}/{path}"),
            durable=self._durable,
            on_progress=on_progress,
        )
        try:
            copier.copy_folder(self._fd, staged.fd)
        except DriveError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DriveSourceChanged(
                f"{shown(source.path)} changed while it was copied: {shown(error.filename)} does not exist "
                f"any more; try again."
            ) from error


class NotMovable(Exception):
    """A file in a folder has a second name or is not a regular file, so that the folder must be copied."""


def is_movable(fd: int, source: Source, bounds: Bounds, path: str = "") -> bool:
    """Return whether an open folder can become part of a drive as it is; symbolic links in it cannot.

    Args:
        fd: Descriptor of the folder.
        source: The source of the put, which is this folder or contains it.
        bounds: Refuses the folder that holds all drives.
        path: Path of the folder below the source.
    """
    if not path and not is_same(fd, source.path):
        return False  # the source is a symbolic link
    bounds.refuse_root(fd, path)
    with syscalls.scandir(fd) as found:
        entries = list(found)
    source.check([entry.name for entry in entries], path)
    prefix = f"{path}/" if path else ""
    return all(_is_entry_movable(fd, entry, source, bounds, prefix) for entry in entries)


def _is_entry_movable(
    folder: int, entry: os.DirEntry[str], source: Source, bounds: Bounds, prefix: str
) -> bool:
    if not entry.is_dir(follow_symlinks=False):
        return entry.is_file(follow_symlinks=False)
    fd = syscalls.open_file(entry.name, syscalls.FOLDER, dir_fd=folder)
    try:
        return is_movable(fd, source, bounds, prefix + entry.name)
    finally:
        syscalls.close(fd)


@contextmanager
def hard_link(fd: int, source: Source, staging: StagingFolder) -> Iterator[str | None]:
    """Give the path of a hard link in the staging folder to the open source file, for the `with` block.

    The cleaning of the staging folder skips it, because the file is locked until its descriptor is closed.

    Yields:
        The path, or `None` if the file must be copied.
    """
    path = staging.new_path()
    try:
        yield path if _is_linked(fd, source, path) else None
    finally:
        with suppress(OSError):  # it was moved into the drive, or no link was made
            syscalls.unlink(path)


def _is_linked(fd: int, source: Source, path: str) -> bool:
    if syscalls.fstat(fd).st_nlink != 1 or not is_same(fd, source.path):
        return False  # it could be changed by its other name, or the source is a symbolic link
    try:
        if not syscalls.try_lock(fd):
            return False  # another process has locked it
        syscalls.link(source.path, path, follow_symlinks=False)
    except OSError:
        return False  # another file system, or one without hard links
    return is_same(fd, path)


@contextmanager
def protected(fd: int, path: str) -> Iterator[None]:
    """Give the permissions of stored files to the source for the `with` block.

    Args:
        fd: Descriptor of a file, or of a folder; everything in it is included.
        path: Path of the source; if it is still there at the end, it gets its old permissions back.

    Raises:
        NotMovable: A file in the folder cannot be moved; nothing has changed.
    """
    _protect(fd)
    try:
        yield
    finally:
        if is_same(fd, path):
            _unprotect(fd)


def _protect(fd: int) -> None:
    mode = syscalls.fstat(fd).st_mode
    names = syscalls.listdir(fd) if S_ISDIR(mode) else []
    done = 0
    try:
        for name in names:
            inner = syscalls.open_file(name, syscalls.READ, dir_fd=fd)
            try:
                _protect_within(inner)
            finally:
                syscalls.close(inner)
            done += 1
        syscalls.fchmod(fd, stored_mode(mode))
    except BaseException:
        for name in names[:done]:
            _unprotect_at(fd, name)
        raise


def _protect_within(fd: int) -> None:
    info = syscalls.fstat(fd)
    if S_ISREG(info.st_mode) and info.st_nlink == 1:
        syscalls.fchmod(fd, stored_mode(info.st_mode))
    elif S_ISDIR(info.st_mode):
        _protect(fd)
    else:
        raise NotMovable


def _unprotect(fd: int) -> None:
    mode = syscalls.fstat(fd).st_mode
    for name in syscalls.listdir(fd) if S_ISDIR(mode) else []:
        _unprotect_at(fd, name)
    syscalls.fchmod(fd, restored_mode(mode))


def _unprotect_at(folder: int, name: str) -> None:
    fd = syscalls.open_file(name, syscalls.READ, dir_fd=folder)
    try:
        _unprotect(fd)
    finally:
        syscalls.close(fd)


def remove_source(fd: int, path: str) -> None:
    """Remove a source that was copied into the drive, unless something else is at its path by now."""
    if not is_same(fd, path):
        return
    if S_ISDIR(syscalls.fstat(fd).st_mode):
        if empty_folder(fd):
            syscalls.rmdir(path)
    else:
        syscalls.unlink(path)
