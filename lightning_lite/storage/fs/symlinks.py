"""Symbolic links inside a folder: where they lead, without leaving the folder."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

from lightning_lite.storage.errors import shown
from lightning_lite.storage.fs import syscalls

#: Most symbolic links on the way to one path, as in the kernel.
MAX_LINKS = 40

#: Errors of `readlink` for a path that is not a symbolic link, or does not exist.
_NO_LINK = frozenset({errno.EINVAL, errno.ENOENT, errno.ENOTDIR})


class Links:
    """Resolves symbolic links in a folder; one that leads out of it, also by a detour, is not followed.

    Args:
        folder: Descriptor of the folder.
    """

    def __init__(self, folder: int) -> None:
        self._folder = folder

    def kept(self, path: str) -> str | None:
        """Return the text of the link at `path`, if it stays inside the folder wherever the folder is.

        A link to something that does not exist stays inside, too. An absolute link does not: in a copy of the
        folder it would lead to the original.

        Args:
            path: Path of a symbolic link below the folder; its parents are no links.
        """
        text = syscalls.readlink(path, dir_fd=self._folder)
        return text if self._follow(path.split("/")[:-1], text) is not None else None

    def real(self, parts: Sequence[str]) -> tuple[str, ...] | None:
        """Return the parts of a path below the folder without symbolic links, or `None` if it leads out.

        A part that does not exist is taken as it is. A link that leads back to itself counts as one
        that leads out.
        """
        return self._follow([], "/".join(parts))

    def _follow(self, start: list[str], text: str) -> tuple[str, ...] | None:
        return follow(start, text, lambda path: target_of(path, self._folder))


def follow(start: list[str], text: str, target: Callable[[str], str | None]) -> tuple[str, ...] | None:
    """Return the parts of a path below a folder without symbolic links, or `None` if it leads out.

    Args:
        start: Parts of the folder in which the path begins; they are no links.
        text: The path.
        target: Returns the text of the link at a path below the folder, or `None` if no link is there.
    """
    here, left, count = start, text.split("/")[::-1], 0
    if text.startswith("/"):
        return None
    while left:
        part = left.pop()
        if part in ("", "."):
            continue
        if part == "..":
            if not here:
                return None
            here = here[:-1]
            continue
        leads_to = target("/".join([*here, part]))
        if leads_to is None:
            here = [*here, part]
            continue
        count += 1
        if leads_to.startswith("/") or count > MAX_LINKS:
            return None
        left += leads_to.split("/")[::-1]
    return tuple(here)


def target_of(path: str, dir_fd: int | None = None) -> str | None:
    """Return the text of the symbolic link at `path`, or `None` if no link is there."""
    try:
        return syscalls.readlink(path, dir_fd=dir_fd)
    except OSError as error:
        if error.errno not in _NO_LINK:
            raise
        return None


def relative_to(path: str, folder: str) -> str | None:
    """Return an absolute path relative to a folder in which it is, also by another name of it, or `None`.

    Args:
        path: Absolute path; its last part is not followed if it is a symbolic link.
        folder: Absolute path of a folder.

    Example:
        >>> relative_to("/data/run/a", "/data"), relative_to("/data-2/a", "/data")
        ('run/a', None)
    """
    real = syscalls.realpath(folder)
    for top in (folder, real):
        if path == top or path.startswith(f"{top.rstrip('/')}/"):
            return path[len(top) :].lstrip("/")
    try:
        return _relative_by_link(path, folder, real)
    except ValueError:
        return None  # no path of this system has such characters


def _relative_by_link(path: str, folder: str, real: str) -> str | None:
    here = _identity(folder)
    end = 0
    while end >= 0:  # from the shortest parent on, so that later links in the path stay links
        end = path.find("/", end + 1)
        parent = path if end < 0 else path[:end]
        if here is not None and _identity(parent) == here:
            return path[len(parent) :].lstrip("/")
    parent = syscalls.realpath(os.path.dirname(path))
    if parent.startswith(f"{real.rstrip('/')}/"):
        return f"{parent[len(real) :].lstrip('/')}/{os.path.basename(path)}"
    return None


def _identity(path: str) -> tuple[int, int] | None:
    try:
        info = syscalls.stat(path)
    except OSError:
        return None
    return info.st_dev, info.st_ino


def broken_link(path: str) -> str | None:
    """Return a sentence about the symbolic link because of which nothing is at `path`, or `None`.

    Args:
        path: Absolute path at which nothing was found, with links followed.
    """
    while path != os.path.dirname(path):
        target = target_of(path)
        if target is not None:
            end = _why_broken(path)
            return f"{shown(path)} is a symbolic link to {shown(target)}, {end}" if end else None
        path = os.path.dirname(path)
    return None


def _why_broken(path: str) -> str | None:
    try:
        syscalls.stat(path)
    except (FileNotFoundError, NotADirectoryError):
        return "which doesn't exist"
    except OSError as error:
        return "which leads back to it" if error.errno == errno.ELOOP else None
    return None
