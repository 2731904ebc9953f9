"""Receives the file descriptors that a work shares with the app.

Only a work that may have some loads this module.
"""

from __future__ import annotations

import _socket
from array import array
from typing import Any

from lightning_lite.errors import RunnerError
from lightning_lite.values.shared_objects import unpack_shared

#: File descriptors in one message at most (SCM_MAX_FD of Linux).
_BATCH = 253


def unpack_host(packed: bytes, channel: int) -> Any:
    """Return the host of a work.

    Args:
        packed: The host, as `values.shared_objects.pack_shared` packed it.
        channel: The socket on which its file descriptors come; it is closed.

    Raises:
        RunnerError: This process may not have that many files.
        Exception: Any error of the work's own unpickling.
    """
    socket = _socket.socket(fileno=channel)
    try:
        fds = _receive(socket)
    finally:
        socket.close()
    return unpack_shared(packed, fds)


def _receive(socket: _socket.socket) -> list[int]:
    fds = array("i")
    room = _socket.CMSG_SPACE(_BATCH * fds.itemsize)
    while True:
        data, rights, flags, _ = socket.recvmsg(1, room, getattr(_socket, "MSG_CMSG_CLOEXEC", 0))
        for _, _, part in rights:
            fds.frombytes(part)
        if flags & _socket.MSG_CTRUNC:
            raise RunnerError(f"too many open files: the work shares more than {len(fds)} file descriptors")
        if data != b"+":
            return fds.tolist()
