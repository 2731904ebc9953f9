"""Receives the file descriptors that a work shares with the app; loaded only if there may be some."""

from __future__ import annotations

import _socket  # socket itself would cost such a work some milliseconds
from array import array

from lightning_lite.errors import RunnerError

#: File descriptors in one message at most (SCM_MAX_FD of Linux), as in processes/descriptor_channel.
_BATCH = 253


def receive(channel: int) -> list[int]:
    """Return the file descriptors that the app has sent.

    Args:
        channel: The socket on which they come; it is closed.

    Raises:
        RunnerError: This process may not have that many files.
    """
    socket = _socket.socket(fileno=channel)
    fds = array("i")
    room = _socket.CMSG_SPACE(_BATCH * fds.itemsize)
    try:
        while True:
            data, rights, flags, _ = socket.recvmsg(1, room, getattr(_socket, "MSG_CMSG_CLOEXEC", 0))
            for _, _, part in rights:
                fds.frombytes(part)
            if flags & _socket.MSG_CTRUNC:
                raise RunnerError(f"too many open files: the work shares more than {len(fds)} descriptors")
            if data != b"+":
                return fds.tolist()
    finally:
        socket.close()
