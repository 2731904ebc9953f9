"""Roots whose writers are all trusted, and whether a file may be unpickled.

Some file systems keep no owners or no modes (vfat, CIFS, drives of Windows in WSL). There the user may say
that all writers of a root are trusted (`trust`); then owners and modes in it are not checked.

`root_access` opens roots. This module is apart because each process that loads a big value needs it, and only
a few of them open a root.
"""

from __future__ import annotations

import os

#: Mode of a root that a user may ask for: each user with write access to it may run code as this one.
TRUSTED = "trusted"

#: Environment variable with the mode of all roots that a process uses.
ROOT_MODE_VARIABLE = "LIGHTNING_LITE_ROOT_MODE"

#: Environment variable with the root that the processes of a trusted app trust, and no other one.
TRUSTED_ROOT_VARIABLE = "LIGHTNING_LITE_TRUSTED_ROOT"

_trusted: set[str] = set()


def trust(root: str) -> None:
    """Declare, for this process, that each user with write access to a root may run code as this one.

    Args:
        root: Absolute path of the root.

    Example:
        >>> trust("/mnt/usb/root")
        >>> is_trusted("/mnt/usb/root/runs"), is_trusted("/mnt/usb/root-2")
        (True, False)
    """
    _trusted.add(root)


def is_trusted(path: str) -> bool:
    """Return whether owners and modes are not checked: after `trust`, or if a variable says so.

    Args:
        path: Absolute path of a root, or of a file or folder in it.
    """
    if os.environ.get(ROOT_MODE_VARIABLE) == TRUSTED:
        return True
    roots = {*_trusted, os.environ.get(TRUSTED_ROOT_VARIABLE)}  # a copy: another thread may declare one now
    return any(path == root or path.startswith(f"{root}/") for root in roots if root)


def check_own_file(found: os.stat_result, path: str) -> str:
    """Return why a file is not read that may be unpickled, or "" if only this user may have written it.

    Args:
        found: Status of the open file, or of an open folder of such files.
        path: Its absolute path.
    """
    if is_trusted(path):
        return ""
    if found.st_uid != os.geteuid():
        return f"it belongs to user {found.st_uid}"
    return "other users may write to it" if found.st_mode & 0o022 else ""


def own_file_advice(found: os.stat_result, path: str) -> str:
    """Return what to do about a file or folder for which `check_own_file` returned a reason.

    Args:
        found: Its status.
        path: Its absolute path.
    """
    import shlex  # noqa: PLC0415 - it imports `re`, which takes 5 ms; only errors need it

    if found.st_uid != os.geteuid():
        return (
            f"use it as that user, or, if you trust its content, run chown {os.geteuid()} {shlex.quote(path)}"
        )
    return f"if you trust its content, run chmod go-w {shlex.quote(path)}"
