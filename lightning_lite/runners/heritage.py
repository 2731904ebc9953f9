"""What a work's process takes over from the main process, as plain data for its boot."""

from __future__ import annotations

import os
import sys
from typing import Any


def describe_heritage(cwd: str | None) -> dict[str, Any]:
    """Return the search path, arguments, working directory and log level of this process.

    Args:
        cwd: Working directory that the work asks for instead, or `None`.
    """
    here = _working_directory()
    if cwd is not None:
        cwd = os.path.join(here or "", cwd)
    return {
        "path": search_path(),
        "argv": list(map(str, sys.argv)),
        "cwd": cwd or here,
        "log_level": _log_level(),
    }


def search_path() -> list[str]:
    """Return the search path of this process, so that it means the same in any working directory.

    Without what is no text, such as a `pathlib.Path`: Python ignores that, too.
    """
    here = _working_directory()
    return [_absolute(entry, here) for entry in sys.path if isinstance(entry, str)]


def _working_directory() -> str | None:
    try:
        return os.getcwd()
    except OSError:
        return None  # it was removed, or may not be looked at; the work's process stands in the same nowhere


def _absolute(entry: str, here: str | None) -> str:
    """Return an entry of the search path that means the same in another working directory."""
    if here is None or os.path.isabs(entry):
        return entry
    if entry and not os.path.exists(entry):
        return entry  # not a path: the name of an import hook, as editable installs have
    return os.path.normpath(os.path.join(here, entry))


def _log_level() -> int | None:
    """Return the level of the root logger, or `None` if this process has not configured logging."""
    logging = sys.modules.get("logging")
    return logging.root.level if logging is not None and logging.root.handlers else None
