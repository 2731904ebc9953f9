"""Copies the source of a put as it was at one moment."""

from __future__ import annotations

from collections.abc import Callable
from stat import S_ISDIR
from warnings import warn

from lightning_lite.storage.base import OnProgress, Source
from lightning_lite.storage.errors import DriveError, DriveSourceChanged, DriveWarning, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.copying import TreeCopier, copy_file, state_number, warn_of_loss
from lightning_lite.storage.fs.links import Links
from lightning_lite.storage.fs.opening import Bounds
from lightning_lite.storage.fs.sqlite import PAGE, log_of
from lightning_lite.storage.transfer.snapshot import compare, complete_folder, states_of_folder
from lightning_lite.storage.transfer.staging import Staged


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
            warn(
                f"{shown(self.source.path)} is an SQLite database, and changes of it are still in "
                f"{shown(log)}, which is not put. Close all its connections first, put both in one list, or "
                f"put their folder.",
                DriveWarning,
                stacklevel=2,
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
            warn(
                f"{shown(grown[0])}{others} grew while {shown(source.path)} was put: the drive has what was "
                f"written by then. If that is not a log but a file that was not finished, put it again.",
                DriveWarning,
                stacklevel=2,
            )

    def _compare(self, staged: Staged) -> None:
        """Compare the source file, whose status is another one by now, with its copy."""
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
