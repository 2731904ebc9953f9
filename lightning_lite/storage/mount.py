"""`Mount`: accepted for Lightning Apps that name one; nothing is mounted on one machine."""

from __future__ import annotations

import os
from typing import ClassVar, NamedTuple

from lightning_lite.storage.errors import DrivePathError, shown

_PROTOCOL = "s3://"


class _Fields(NamedTuple):
    source: str
    mount_path: str


class Mount(_Fields):
    """A bucket that would be mounted as a folder; it is validated, and has no effect on this machine.

    Args:
        source: `s3://bucket/folder/`, with a slash at the end.
        mount_path: Absolute folder; by default `/data/` and the last name of the source.

    Example:
        >>> Mount("s3://bucket/images/").mount_path
        '/data/images'
    """

    __slots__ = ()

    #: Beginning of each source.
    protocol: ClassVar[str] = _PROTOCOL

    def __new__(cls, source: str, mount_path: str = "") -> Mount:
        """Validate the arguments.

        Raises:
            DrivePathError: One of them is invalid.
        """
        if not source.startswith(_PROTOCOL):
            raise DrivePathError(
                f"Unknown protocol for the mount 'source' argument {shown(source)}; it must begin with "
                f"'{_PROTOCOL}'."
            )
        if not source.endswith("/"):
            raise DrivePathError(
                f"S3 mounts must end in a trailing slash (`/`) to indicate a folder is being mounted. "
                f"Received: {shown(source)}."
            )
        path = mount_path or f"/data/{source.rstrip('/').rpartition('/')[2]}"
        if not os.path.isabs(path):
            raise DrivePathError(
                f"mount_path argument must be an absolute path to a location, received relative path "
                f"{shown(path)}."
            )
        return super().__new__(cls, source, path)

    def __reduce__(self) -> tuple[type[Mount], tuple[str, str]]:
        return type(self), (self.source, self.mount_path)
