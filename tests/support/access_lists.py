"""POSIX access control lists of files, made without the program `setfacl`."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import pytest

from lightning_lite.access_lists import ACCESS, DEFAULT

_NONE = 0xFFFFFFFF


def make_list(
    *, users: dict[int, int] | None = None, groups: dict[int, int] | None = None, mask: int = 7
) -> bytes:
    """Return a list as the system stores it: all rights of the owner, none of others, and named entries.

    Args:
        users: Rights of named users, by their numbers.
        groups: Rights of named groups, by their numbers.
        mask: Rights that named entries can have at most.
    """
    entries = [(1, 7, _NONE)]
    entries += [(2, rights, user) for user, rights in sorted((users or {}).items())]
    entries += [(4, 7, _NONE)]
    entries += [(8, rights, group) for group, rights in sorted((groups or {}).items())]
    entries += [(16, mask, _NONE), (32, 0, _NONE)]
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def set_default_list(folder: Path | str, **entries: Any) -> None:
    """Let new files in a folder inherit a list; the test is skipped where that is not possible."""
    set_list(folder, DEFAULT, **entries)


def set_list(path: Path | str, name: str = ACCESS, **entries: Any) -> None:
    """Give a list to a file or folder; the test is skipped where that is not possible."""
    if not hasattr(os, "setxattr"):
        pytest.skip("this system has no POSIX access control lists in extended attributes")
    try:
        os.setxattr(path, name, make_list(**entries))
    except OSError as error:
        pytest.skip(f"no access control lists in {path}: {error.strerror}")


def lists_of(path: Path | str) -> list[str]:
    """Return the names of the lists that a file or folder has, sorted."""
    return sorted({ACCESS, DEFAULT}.intersection(os.listxattr(path)))
