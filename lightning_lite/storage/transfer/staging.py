"""A folder for files that are not visible yet, or not any more, and the copy of the source of a put in it.

A process locks each entry that it creates in a staging folder until it has moved it to its place. Entries
without a lock are leftovers of dead processes, or replaced files; the next put or delete removes them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import count
from stat import S_ISDIR
from types import TracebackType
from typing import Self

from lightning_lite.root_access import SHARED
from lightning_lite.storage.base import OnProgress, Source
from lightning_lite.storage.errors import DriveError, DriveSourceChanged, DriveWarning, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.files import (
    Bounds,
    TreeCopier,
    copy_file,
    empty_folder,
    state_number,
    warn_of_loss,
)
from lightning_lite.storage.fs.sqlite_logs import PAGE, log_of
from lightning_lite.storage.fs.symlinks import Links
from lightning_lite.storage.names import RESERVED
from lightning_lite.storage.transfer.snapshot import compare, complete_folder, states_of_folder
from lightning_lite.tracebacks import warn_user

#: Prefix of the names of all staged files and folders.
PREFIX = f"{RESERVED}-"

_numbers = count()


class Staged:
    """A new file or folder in the staging folder, locked; removed at the end of `with`, unless moved.

    Attributes:
        path: Its path, until it is moved to its place.
        dir_fd: Folder to which `path` is relative, or `None`.
        fd: Its descriptor, for writing if it is a file.
        is_placed: Whether it was moved away, so that nothing is left to remove.
    """

    def __init__(self, staging: StagingFolder, fd: int, name: str) -> None:
        self.path = f"{staging.folder}/{name}"
        self.dir_fd = staging.dir_fd
        self.fd = fd
        self.is_placed = False
        self._staging = staging
        self._name = name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        syscalls.close(self.fd)
        if not self.is_placed:
            # Suppressed so that it hides no other error; the next put or delete removes the rest.
            with suppress(OSError):
                self._staging.remove_if_dead(self._name)


class StagingFolder:
    """A folder for files that are not visible.

    Args:
        folder: Its path, on the file system to which the files will be moved.
        dir_fd: Folder to which `folder` is relative, or `None`.
        is_needed: Returns whether the entry of a name stays although no process has locked it.

    Attributes:
        is_shared: Whether other users of a group write into it, too.
    """

    def __init__(
        self, folder: str, dir_fd: int | None = None, is_needed: Callable[[str], bool] = lambda name: False
    ) -> None:
        self.folder = folder
        self.dir_fd = dir_fd
        self._is_needed = is_needed
        self.is_shared = False

    def new_file(self) -> Staged:
        """Create an empty file, open for writing."""
        while True:
            name = _new_name()
            fd = syscalls.open_file(f"{self.folder}/{name}", syscalls.CREATE, 0o600, dir_fd=self.dir_fd)
            if _lock_new(fd, partial(_has_name, fd)):
                if self.is_shared:  # so that another user can finish or remove it if this process dies
                    syscalls.fchmod(fd, 0o640)
                return Staged(self, fd, name)

    def new_folder(self) -> Staged:
        """Create an empty folder."""
        while True:
            name = _new_name()
            path = f"{self.folder}/{name}"
            syscalls.mkdir(path, 0o700, dir_fd=self.dir_fd)
            try:
                fd = syscalls.open_file(path, syscalls.FOLDER, dir_fd=self.dir_fd)
            except FileNotFoundError:
                continue  # another process removed it before it was locked
            if _lock_new(fd, partial(syscalls.is_same, fd, path, self.dir_fd)):
                if self.is_shared:
                    syscalls.fchmod(fd, SHARED)
                return Staged(self, fd, name)

    def make_parent(self, path: str, permissions: int = 0o755) -> None:
        """Create a folder at a path in the drive; in a group root the group may write to it.

        Args:
            path: Absolute path.
            permissions: Its permissions in a private root; the umask reduces them.
        """
        syscalls.mkdir(path, permissions)
        if self.is_shared:
            fd = syscalls.open_file(path, syscalls.FOLDER)
            try:
                syscalls.fchmod(fd, SHARED)
            finally:
                syscalls.close(fd)

    def new_path(self) -> str:
        """Return a free path, for a file or folder that will be removed."""
        return f"{self.folder}/{_new_name()}"

    def sweep(self) -> None:
        """Remove everything that no process has locked."""
        for name in syscalls.listdir(self.folder if self.dir_fd is None else self.dir_fd):
            if name.startswith(PREFIX):
                with suppress(OSError):  # another process removes it, too, or the next call does
                    self.remove_if_dead(name)

    def remove_if_dead(self, name: str) -> None:
        """Remove the entry `name`, unless it is locked or needed."""
        path = f"{self.folder}/{name}"
        try:
            fd = syscalls.open_file(path, syscalls.READ, dir_fd=self.dir_fd)
        except FileNotFoundError:
            return  # it was moved to its place
        try:
            if not syscalls.try_lock(fd) or not syscalls.is_same(fd, path, self.dir_fd):
                return
            if self._is_needed(name):
                return
            if not S_ISDIR(syscalls.fstat(fd).st_mode):
                syscalls.unlink(path, dir_fd=self.dir_fd)
            elif empty_folder(fd):
                syscalls.rmdir(path, dir_fd=self.dir_fd)
        finally:
            syscalls.close(fd)


def _lock_new(fd: int, is_there: Callable[[], bool]) -> bool:
    """Lock a new file or folder; return whether it still exists, else close it."""
    try:
        syscalls.flock(fd, syscalls.LOCK_EX | syscalls.LOCK_NB)
        if is_there():
            return True
    except BlockingIOError:
        pass  # another process takes it for a leftover, and removes it
    except BaseException:
        syscalls.close(fd)
        raise
    syscalls.close(fd)
    return False


def _has_name(fd: int) -> bool:
    return syscalls.fstat(fd).st_nlink > 0


def _new_name() -> str:
    # With the time, because pids repeat: in another container, or when the system reuses them.
    return f"{PREFIX}{os.getpid():x}-{next(_numbers):x}-{time.time_ns():x}"


class SourceCopy:
    """The open source of one put.

    Args:
        source: File or folder that is put.
        bounds: Opens the targets of symbolic links in the source.
        fd: Descriptor of the source.

    Attributes:
        source: As above.
        fd: As above.
        is_folder: Whether it is a folder.
        mode: Its mode when it was opened.
        info: Its status before it was copied.
    """

    def __init__(self, source: Source, bounds: Bounds, fd: int) -> None:
        self.source = source
        self._bounds = bounds
        self.fd = fd
        self.info = syscalls.fstat(fd)
        self.mode = self.info.st_mode
        self.is_folder = S_ISDIR(self.mode)
        self._states: dict[str, int] = {}

    def refresh(self) -> None:
        """Read the status again, because we have changed it."""
        self.info = syscalls.fstat(self.fd)

    def warn_of_log(self) -> None:
        """Warn if the source is an SQLite database of which the log is not put."""
        size = self.info.st_size
        if self.is_folder or not size or size % PAGE:
            return
        log = log_of(self.fd, self.source.path)
        if log is not None and log not in self.source.others:
            warn_user(
                f"{shown(self.source.path)} is an SQLite database, and changes of it are still in "
                f"{shown(log)}, which is not put. Close all its connections first, put both in one list, or "
                f"put their folder.",
                DriveWarning,
            )

    def copy_to(
        self,
        staged: Staged,
        stored_mode: Callable[[int], int],
        *,
        durable: bool,
        on_progress: OnProgress | None,
    ) -> None:
        """Copy the source into a new file or folder.

        Args:
            staged: The new file or folder.
            stored_mode: Returns the permissions of a copy for the mode of its source.
            durable: Whether the copy is flushed to the disk.
            on_progress: Called with the number of bytes after each piece, or `None`.

        Raises:
            DriveSourceChanged: Another process changed the source during the copy.
        """
        if self.is_folder:
            self._copy_folder(staged, stored_mode, durable=durable, on_progress=on_progress)
            return
        lost: set[str] = set()
        copy_file(
            self.fd,
            staged.fd,
            self.info,
            stored_mode(self.mode),
            name=self.source.path,
            durable=durable,
            on_progress=on_progress,
            lost=lost,
        )
        if not self.is_unchanged():
            self._compare(staged)
        warn_of_loss(self.source.path, lost)

    def _copy_folder(
        self,
        staged: Staged,
        stored_mode: Callable[[int], int],
        *,
        durable: bool,
        on_progress: OnProgress | None,
    ) -> None:
        source = self.source
        copier = TreeCopier(
            mode=stored_mode,
            check=source.check,
            check_folder=self._bounds.refuse_root,
            open_link=lambda path: self._bounds.open(f"{source.path}/{path}"),
            links=Links(self.fd) if source.keep_links else None,
            durable=durable,
            on_progress=on_progress,
            states=self._states,
        )
        try:
            copier.copy_folder(self.fd, staged.fd)
            grown = complete_folder(self.fd, staged.fd, self._states, source.path, durable=durable)
        except DriveError:
            raise
        except (FileNotFoundError, NotADirectoryError) as error:
            raise DriveSourceChanged(
                f"{shown(source.path)} changed while it was copied: {shown(error.filename)} does not exist "
                f"any more; try again."
            ) from error
        warn_of_loss(source.path, copier.lost)
        if grown:
            others = f" and {len(grown) - 1} more" if len(grown) > 1 else ""
            warn_user(
                f"{shown(grown[0])}{others} grew while {shown(source.path)} was put: the drive has the "
                f"content up to then. If that is not a log but a file that was not finished, put it again.",
                DriveWarning,
            )

    def _compare(self, staged: Staged) -> None:
        """Compare the source file, whose status has changed, with its copy."""
        self.refresh()
        copy = syscalls.open_file(staged.path, syscalls.READ, dir_fd=staged.dir_fd)
        try:
            compare(self.fd, copy, self.info, self.source.path)
        finally:
            syscalls.close(copy)

    def is_unchanged(self, *, is_renamed: bool = False) -> bool:
        """Return whether the source has the content that was copied, as far as its status says.

        Args:
            is_renamed: Whether we have renamed it, which has changed the time of its status.
        """
        if self.is_folder:
            return states_of_folder(self.fd) == self._states
        before, now = self.info, syscalls.fstat(self.fd)
        if is_renamed:
            return (now.st_size, now.st_mtime_ns) == (before.st_size, before.st_mtime_ns)
        return state_number(before) == state_number(now)
