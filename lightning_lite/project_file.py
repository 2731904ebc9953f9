"""Finds the `pyproject.toml` that has settings for this package, and reads its table `[tool.lightning_lite]`.

The search begins in the working directory and goes up, as in other tools. A file without the table
is passed over. So is a file of another user in a folder in which all users may create files, such as `/tmp`:
any of them could have put it there.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from lightning_lite import distribution
from lightning_lite.errors import SettingError
from lightning_lite.regular_files import read_regular

NAME = "pyproject.toml"

#: Name of the table within the table `tool`.
TABLE = "lightning_lite"

#: Names that are taken for the name of the table, in lower case and with underscores.
_OTHER_SPELLINGS = (TABLE, distribution.NAME.replace("-", "_"))

#: Maximum number of bytes of the file.
_MAX_BYTES = 16 * 1024 * 1024

_WRITABLE_BY_ALL = 0o002


class ProjectFile(NamedTuple):
    """A file with settings.

    Attributes:
        path: Absolute path of the file.
        table: Its table, as TOML has it; nothing in it is checked.
    """

    path: str
    table: Mapping[str, Any]


def find_project_file(folder: str) -> ProjectFile | None:
    """Return the nearest file with settings in a folder or above it, or `None`.

    Args:
        folder: Absolute path of the folder.

    Raises:
        SettingError: A file on the way can't be read or is not TOML, so that its settings are unknown.
    """
    while True:
        path = os.path.join(folder, NAME)
        try:
            found = os.stat(path)
        except OSError:
            table = None  # there is none here
        else:
            table = _read_table(path, found.st_ino, found.st_size, found.st_mtime_ns)
        if table is not None:
            return ProjectFile(path, table)
        parent = os.path.dirname(folder)
        if parent == folder:
            return None
        folder = parent


@lru_cache(maxsize=32)  # a script asks at each use of a new drive; another version of the file is read again
def _read_table(path: str, inode: int, size: int, changed: int) -> Mapping[str, Any] | None:
    """Return the table in a file, or `None` if the file has none or does not count.

    Args:
        path: The file.
        inode: Its inode; this and the other numbers distinguish the versions of the file.
        size: Its size in bytes.
        changed: When it was changed, in nanoseconds.

    Raises:
        SettingError: It can't be read, or is not TOML.
    """
    try:
        if not os.path.isfile(path) or _may_be_of_anybody(path):
            return None
        data = read_regular(os.path.realpath(path), _MAX_BYTES)
        if b"lightning" not in data:
            return None  # most projects: tomllib need not be imported
        import tomllib  # noqa: PLC0415 - some milliseconds, only for projects that name this package

        tools = tomllib.loads(data.decode("utf-8")).get("tool", {})
    except OSError as error:
        raise SettingError(
            f"{path} may have settings, but can't be read: {error.strerror}; make it readable or move it.",
            path=path,
        ) from error
    except (ValueError, RecursionError) as error:  # the second one for arrays in hundreds of arrays
        raise SettingError(
            f"{path} may have settings, but is not valid TOML: {error}; correct it or move it.",
            path=path,
        ) from error
    if not isinstance(tools, dict):
        return None
    for name in tools:
        if name != TABLE and name.lower().replace("-", "_") in _OTHER_SPELLINGS:
            raise SettingError(
                f"{path} has a table [tool.{name}]; its name must be [tool.{TABLE}].", path=path
            )
    table = tools.get(TABLE)
    if table is not None and not isinstance(table, dict):
        raise SettingError(
            f"{path}: tool.{TABLE} must be a table: [tool.{TABLE}]. Found {table!r}", path=path
        )
    return table


def _may_be_of_anybody(path: str) -> bool:
    """Return whether another user owns the file, and all users may write to it or to its folder."""
    found = os.stat(path)
    if found.st_uid in (0, os.geteuid()):
        return False
    return bool((found.st_mode | os.stat(os.path.dirname(path)).st_mode) & _WRITABLE_BY_ALL)
