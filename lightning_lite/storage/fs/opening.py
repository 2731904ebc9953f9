"""Opens files and folders by paths that another process may change at the same time.

The content of a `put` is read only inside an allowed folder. A path is resolved and checked first, and then
opened part by part, without following links: if another process replaces a part by a link in between, the
opening fails.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from stat import S_ISDIR, S_ISLNK, S_ISREG

from lightning_lite.storage.errors import (
    DriveError,
    DriveSourceChanged,
    DriveSourceMissing,
    DriveSpecialFile,
    DriveSymlink,
    shown,
)
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.links import broken_link

_KINDS = {
    0o010000: "a FIFO",
    0o020000: "a character device",
    0o060000: "a block device",
    0o140000: "a socket",
}


class Bounds:
    """Limits from where the content of a `put` is read.

    Args:
        folder: Absolute folder; nothing outside it is read.
        root: Absolute folder that holds all drives; it is never read, so that no drive is put into itself.
        follow_symlinks: Whether symbolic links may lead out of `folder`.
    """

    def __init__(self, folder: str, root: str, *, follow_symlinks: bool) -> None:
        self._folder = folder
        self._root = root
        self._follow = follow_symlinks

    def open(self, path: str) -> int:
        """Open the file or folder at the absolute path `path` and return its descriptor.

        Raises:
            DriveSourceMissing: It does not exist.
            DriveSymlink: It is a symbolic link that leads out of the folder.
            DriveSpecialFile: It is neither a file nor a folder.
        """
        if is_inside(path, self._folder):
            try:
                return self._open_real(path, path, self._folder)
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
        return self._open_by_link(path)

    def refuse_root(self, folder: int, path: str) -> None:
        """Refuse an open folder that is the root of the drives, by whichever path it was reached."""
        root = syscalls.stat_if_exists(self._root)
        here = syscalls.fstat(folder)
        if root is not None and (here.st_dev, here.st_ino) == (root.st_dev, root.st_ino):
            raise _recursive(path)

    def _open_by_link(self, path: str) -> int:
        try:
            real = syscalls.realpath(path, strict=True)
        except (FileNotFoundError, NotADirectoryError):
            raise missing_source(path) from None
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link that leads back to itself; remove it."
            ) from None
        folder = syscalls.realpath(self._folder)
        inside = is_inside(real, folder)
        if not inside and not self._follow:
            raise DriveSymlink(
                f"{shown(path)} is a symbolic link to {shown(real)}, which is outside of "
                f"{shown(folder)}; copy what it points to, or pass follow_symlinks=True."
            )
        try:
            return self._open_real(real, path, folder if inside else "/")
        except OSError as error:
            if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                raise
            raise DriveSourceChanged(f"{shown(path)} changed during the operation; try again.") from None

    def _open_real(self, real: str, path: str, base: str) -> int:
        if is_inside(self._root, real) or is_inside(real, f"{self._root}/drives"):
            raise _recursive(path)
        try:
            check_kind(syscalls.stat(real, follow_symlinks=False).st_mode, path)
            fd = open_beneath(base, real[len(base) :].split("/"))
        except FileNotFoundError:
            raise missing_source(path) from None
        try:
            check_kind(syscalls.fstat(fd).st_mode, path)
        except BaseException:
            syscalls.close(fd)
            raise
        return fd


def is_inside(path: str, folder: str) -> bool:
    """Return whether `path` is `folder` or below it; both are absolute and normalized.

    Example:
        >>> is_inside("/a/b", "/a"), is_inside("/ab", "/a"), is_inside("/a", "/")
        (True, False, True)
    """
    return path == folder or path.startswith(folder if folder[-1] == "/" else f"{folder}/")


def check_kind(mode: int, path: str) -> None:
    """Refuse everything except files, folders and symbolic links."""
    if not S_ISREG(mode) and not S_ISDIR(mode) and not S_ISLNK(mode):
        kind = _KINDS.get(mode & 0o170000, "not a regular file")
        raise DriveSpecialFile(f"{shown(path)} is {kind}; only files and folders can be in a drive.")


def open_beneath(folder: str, parts: Sequence[str], last: int = syscalls.READ) -> int:
    """Open a file or folder below `folder`, without following symbolic links below it.

    Args:
        folder: Absolute path.
        parts: Path below it; empty parts are ignored.
        last: Flags for the last part.

    Raises:
        OSError: `ENOENT` if it does not exist, `ELOOP` or `ENOTDIR` if a part is a link or a file.
    """
    parts = [part for part in parts if part]
    if not parts:
        return syscalls.open_file(folder, syscalls.FOLDER & ~os.O_NOFOLLOW)
    first = syscalls.open_file(f"{folder}/{parts[0]}", syscalls.FOLDER if parts[1:] else last)
    return _descend(first, parts[1:], last)


def open_below(folder: int, path: str, last: int = syscalls.READ) -> int:
    """Open the file or folder at a path below an open folder, as `open_beneath` does."""
    return _descend(syscalls.dup(folder), path.split("/"), last)


def _descend(fd: int, parts: Sequence[str], last: int) -> int:
    """Open a file or folder below an open folder part by part; the folder is closed."""
    for depth, part in enumerate(parts, start=1):
        try:
            inner = syscalls.open_file(part, last if depth == len(parts) else syscalls.FOLDER, dir_fd=fd)
        finally:
            syscalls.close(fd)
        fd = inner
    return fd


def _recursive(path: str) -> DriveError:
    return DriveError(f"The source {shown(path)} contains the drives or is inside one; put something else.")


def missing_source(path: str) -> DriveSourceMissing:
    """Return the error for a source that is not at the absolute path `path`."""
    link = broken_link(path)
    if link is None:
        return DriveSourceMissing(f"The provided path {shown(path)} doesn't exist; nothing was put.")
    return DriveSourceMissing(
        f"The provided path {shown(path)} can't be read: {link}. Nothing was put. Remove the link, or make "
        f"its target; a link in a folder is kept with put(..., symlinks='keep')."
    )


@contextmanager
def path_only(name: str, parent: int) -> Iterator[int]:
    """Give a descriptor of a folder for the `with` block, also of one that may not be read."""
    fd = syscalls.open_file(name, syscalls.PATH_ONLY, dir_fd=parent)
    try:
        yield fd
    finally:
        syscalls.close(fd)
