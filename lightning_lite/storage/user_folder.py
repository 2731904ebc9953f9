"""The folder of the user to which relative paths of `put` and `get` refer."""

from __future__ import annotations

import os
from stat import S_ISDIR

from lightning_lite.storage.base import Destination, Parts, Source
from lightning_lite.storage.case_folding import refuse_two_forms
from lightning_lite.storage.errors import DriveNotADirectory, DrivePathError, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.names import (
    SURELY_SHORT,
    check_length,
    check_names,
    has_magic,
    path_parts,
    path_text,
)

#: A path given by the user.
PathLike = str | os.PathLike[str]


def existing_folder(path: PathLike) -> str:
    """Return the absolute path of a folder, which must exist."""
    folder = os.path.abspath(path_text(path))
    if not os.path.isdir(folder):
        raise DriveNotADirectory(
            f"The provided root_folder isn't a directory: {shown(folder)}; make it first."
        )
    return folder


def require_name(parts: Parts, path: object) -> Parts:
    """Return `parts`, which stand for the user's `path`, unless they are the top of the drive."""
    if not parts:
        raise DrivePathError(f"The name {shown(path)} is empty; name a file or a folder in the drive.")
    return parts


class UserFolder:
    """A folder of the user.

    Args:
        path: Absolute path.
        portable: Whether names are refused that Windows or macOS cannot store.
    """

    def __init__(self, path: str, *, portable: bool) -> None:
        self._path = path
        self._portable = portable

    def parts(self, path: PathLike, *, magic: bool = False) -> Parts:
        """Return the parts of a path, which may be absolute if it is inside this folder.

        Args:
            path: Path given by the user.
            magic: Whether it may be a pattern.
        """
        text = path_text(path)
        if text.startswith("/"):
            text = self._relative(text)
        return path_parts(text, portable=self._portable and not (magic and has_magic(text)))

    def named(self, path: PathLike) -> Parts:
        """Return the parts of a path, which may not be the folder itself."""
        return require_name(self.parts(path), path)

    def source(self, parts: Parts, name: Parts, *, follow_symlinks: bool) -> Source:
        """Return the source of a put.

        Args:
            parts: Its path in this folder.
            name: Path that it gets in the drive.
            follow_symlinks: Whether symbolic links may lead out of this folder.
        """
        top = "/".join(name)

        def check(names: list[str], folder: str) -> None:
            check_names(names, folder, portable=self._portable)
            if self._portable:
                refuse_two_forms(names, folder)
            longest = max(map(len, names), default=0)
            if len(top) + len(folder) + longest + 1 > SURELY_SHORT:
                for inner in names:
                    check_length("/".join(filter(None, (top, folder, inner))))

        return Source("/".join((self._path, *parts)), self._path, follow_symlinks, check, self._portable)

    def destination(self, parts: Parts, *, overwrite: bool) -> Destination:
        """Return the destination of a get."""
        return Destination(self._path, parts, overwrite=overwrite)

    def names(self, parts: Parts) -> list[str]:
        """Return the paths in a folder of this folder; the list is empty if it does not exist."""
        prefix = "".join(f"{part}/" for part in parts)
        try:
            return [prefix + name for name in syscalls.listdir(f"{self._path}/{prefix}")]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def exists(self, parts: Parts) -> bool:
        """Return whether something exists at this path."""
        return syscalls.stat_if_exists("/".join((self._path, *parts))) is not None

    def size(self, parts: Parts) -> int:
        """Return the number of bytes in a file, or in all files of a folder."""
        path = "/".join((self._path, *parts))
        found = syscalls.stat_if_exists(path)
        if found is None or not S_ISDIR(found.st_mode):
            return found.st_size if found else 0
        with syscalls.scandir(path) as entries:
            return sum(self.size((*parts, entry.name)) for entry in entries)

    def _relative(self, path: str) -> str:
        for folder in (self._path, syscalls.realpath(self._path)):
            if path == folder or path.startswith(f"{folder.rstrip('/')}/"):
                return path[len(folder) :].lstrip("/")
        raise DrivePathError(
            f"{shown(path)} is an absolute path outside of {shown(self._path)}; names in a drive "
            f"are relative, or pass Drive(..., root_folder=...)."
        )
