"""The bytes of a file to wherever a descriptor leads: by the kernel where it can, never all in memory."""

from __future__ import annotations

import errno

from lightning_lite.storage import disk
from lightning_lite.storage.copying import BUFFER, PIECE

#: What `sendfile` says to a target that it can't write to, such as a file that is open for appending.
_REFUSALS = disk.UNKNOWN | {errno.EBADF, errno.EPERM}


def stream(source: int, target: int) -> None:
    """Write all of an open file, from where it stands.

    Args:
        source: Descriptor of a regular file.
        target: Descriptor of a file, a pipe, a socket or a terminal.

    Raises:
        BrokenPipeError: Who was to read it is gone.
    """
    try:
        while disk.sendfile is not None and disk.sendfile(target, source, None, PIECE):
            pass
    except OSError as error:
        if error.errno not in _REFUSALS:
            raise
    while data := disk.read(source, BUFFER):  # nothing, if the kernel has sent it all
        rest = memoryview(data)
        while rest:
            rest = rest[disk.write(target, rest) :]
