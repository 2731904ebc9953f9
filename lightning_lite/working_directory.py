"""Absolute paths, also after the working directory was removed."""

from __future__ import annotations

import errno
import os

from lightning_lite.errors import WorkingDirectoryGone


def working_directory() -> str:
    """Return the absolute path of the working directory.

    Raises:
        WorkingDirectoryGone: It was removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise WorkingDirectoryGone(
            "the working directory of this process was removed: change to a folder that exists with "
            "os.chdir(), or use absolute paths",
            errno=errno.ENOENT,
        ) from None


def working_directory_if_there() -> str | None:
    """Return the absolute path of the working directory; `None` if it was removed or is not readable."""
    try:
        return os.getcwd()
    except OSError:
        return None


def absolute(path: str | os.PathLike[str]) -> str:
    """Return `path` as an absolute path.

    Raises:
        WorkingDirectoryGone: It is relative, and the working directory was removed.
    """
    return (
        os.path.abspath(path)
        if os.path.isabs(path)
        else os.path.normpath(os.path.join(working_directory(), path))
    )
