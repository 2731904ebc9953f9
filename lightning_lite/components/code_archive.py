"""`Code`: an archive in a drive with the files of a script."""

from __future__ import annotations

import os
import sys
import tarfile
import zlib
from contextlib import suppress
from importlib import invalidate_caches
from importlib.util import cache_from_source
from tempfile import TemporaryDirectory
from typing import TypedDict

from lightning_lite.errors import ScriptFailed
from lightning_lite.storage.drive import Drive


class Code(TypedDict):
    """Where the files of a script are: a tar archive in a drive.

    Args:
        drive: The drive.
        name: The path of the archive in the drive; it may be compressed.

    Example:
        >>> Code(drive=Drive("lit://code"), name="training.tar.gz")["name"]
        'training.tar.gz'
    """

    drive: Drive
    name: str


def extract_code(drive: Drive, name: str, folder: str) -> bool:
    """Extract an archive of a drive.

    A module that was loaded from a file of the archive is forgotten: the next import reads the new file.

    Args:
        drive: The drive.
        name: The path of the archive.
        folder: The folder for its files; other files in it stay.

    Returns:
        Whether the drive has the archive.

    Raises:
        ScriptFailed: It is not a whole tar archive, or has a path outside the folder, or a device. Nothing is
            extracted then.
    """
    if not drive.list(name):
        return False
    with TemporaryDirectory(prefix="lightning-lite-code-") as temporary:
        beside = Drive.from_dict({**drive.to_dict(), "root_folder": temporary})
        local = beside.get(name, to="archive")
        os.makedirs(folder, exist_ok=True)
        try:
            with tarfile.open(local) as archive:
                members = archive.getmembers()
                for member in members:
                    tarfile.data_filter(member, folder)
                archive.extractall(folder, filter="data")
        except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
            raise ScriptFailed(
                f"The archive {name!r} of the drive {drive} can't be extracted into {folder!r}: {error}. It "
                "must be a tar archive with relative paths, none of which leads out of the folder.",
                script=name,
            ) from error
    _forget({os.path.realpath(os.path.join(folder, member.name)) for member in members})
    return True


def _forget(files: set[str]) -> None:
    """Let the next import read these files, even if an earlier version had the same time and size."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file is not None and name != "__main__" and os.path.realpath(file) in files:
            del sys.modules[name]
    for file in files:
        if file.endswith(".py"):
            with suppress(FileNotFoundError):
                os.remove(cache_from_source(file))
    invalidate_caches()
