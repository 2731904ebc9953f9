"""The folder of the user: to which of its files a path or a pattern in an argument refers."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from stat import S_ISDIR
from typing import NamedTuple

from lightning_lite.paths import working_directory
from lightning_lite.storage.base import Parts, Source
from lightning_lite.storage.destinations import Target
from lightning_lite.storage.errors import DrivePathError, shown
from lightning_lite.storage.fs import syscalls
from lightning_lite.storage.fs.links import relative_to
from lightning_lite.storage.names import (
    SURELY_SHORT,
    PathLike,
    check_length,
    check_names,
    expand,
    has_magic,
    path_parts,
    path_text,
    refuse_two_forms,
)

#: The argument of the user: a path, or several.
Given = PathLike | tuple[PathLike, ...]


class Selection(NamedTuple):
    """The paths to which an argument of the user refers.

    Attributes:
        paths: The paths.
        several: Whether the argument may refer to more or fewer than one path.
    """

    paths: list[Parts]
    several: bool


class UserFolder:
    """The folder of the user to which relative paths of `put` and `get` refer.

    Args:
        path: Absolute path, or `None` for the working directory.
        portable: Whether names are refused that Windows or macOS cannot store.
    """

    def __init__(self, path: str | None, *, portable: bool) -> None:
        self._path = path
        self._portable = portable

    @property
    def path(self) -> str:
        """Absolute path; the working directory is read only when it is needed, because it may be gone."""
        if self._path is None:
            try:
                self._path = os.getcwd()
            except FileNotFoundError:
                self._path = working_directory()  # raises the error with the reason
        return self._path

    def local(self, parts: Parts) -> str:
        """Return the absolute path of something in this folder."""
        return "/".join((self.path, *parts))

    def target(self, to: PathLike) -> Target:
        """Return the argument `to` of a get."""
        return Target(self.parts(to), path_text(to))

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

    def select(
        self, path: Given, names: Callable[[Parts], list[str]], exists: Callable[[Parts], bool]
    ) -> Selection:
        """Return the paths to which an argument refers; a path that is not a pattern need not exist.

        Args:
            path: Argument of the user. A pattern that exists as a path is that path.
            names: Returns the paths in a folder.
            exists: Returns whether a path exists.
        """
        if isinstance(path, tuple):
            chosen = [self.select(one, names, exists).paths for one in path]
            return Selection(list(dict.fromkeys(parts for paths in chosen for parts in paths)), several=True)
        parts = self.parts(path, magic=True)
        if not has_magic(path_text(path)) or exists(parts):
            return Selection([parts], several=False)
        return Selection(expand(parts, names, exists), several=True)

    def named(self, path: PathLike) -> Parts:
        """Return the parts of a path, which may not be the folder itself."""
        return require_name(self.parts(path), path)

    def source(
        self, parts: Parts, name: Parts, *, follow_symlinks: bool, keep_links: bool, others: Collection[str]
    ) -> Source:
        """Return the source of a put.

        Args:
            parts: Its path in this folder.
            name: Path that it gets in the drive.
            follow_symlinks: Whether symbolic links may lead out of this folder.
            keep_links: Whether links that stay inside the source are stored as links.
            others: Absolute paths that are put as well.
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

        return Source(
            self.local(parts), self.path, follow_symlinks, check, self._portable, keep_links, others
        )

    def names(self, parts: Parts) -> list[str]:
        """Return the paths in a folder of this folder; the list is empty if it does not exist."""
        prefix = "".join(f"{part}/" for part in parts)
        try:
            return [prefix + name for name in syscalls.listdir(f"{self.path}/{prefix}")]
        except (FileNotFoundError, NotADirectoryError):
            return []

    def exists(self, parts: Parts) -> bool:
        """Return whether something exists at this path."""
        return syscalls.stat_if_exists(self.local(parts)) is not None

    def is_folder(self, parts: Parts) -> bool:
        """Return whether a folder, or a symbolic link to one, exists at this path."""
        return os.path.isdir(self.local(parts))

    def size(self, parts: Parts) -> int:
        """Return the number of bytes in a file, or in all files of a folder."""
        path = self.local(parts)
        found = syscalls.stat_if_exists(path)
        if found is None or not S_ISDIR(found.st_mode):
            return found.st_size if found else 0
        with syscalls.scandir(path) as entries:
            return sum(self.size((*parts, entry.name)) for entry in entries)

    def _relative(self, path: str) -> str:
        inner = relative_to(path, self.path)
        if inner is not None:
            return inner
        raise DrivePathError(
            f"{shown(path)} is an absolute path outside of {shown(self.path)}; names in a drive "
            f"are relative, or pass Drive(..., root_folder=...)."
        )


def require_name(parts: Parts, path: object) -> Parts:
    """Return `parts`, to which the user's `path` refers, unless they are the top of the drive."""
    if not parts:
        raise DrivePathError(f"The name {shown(path)} is empty; name a file or a folder in the drive.")
    return parts
