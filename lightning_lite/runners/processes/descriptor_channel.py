"""The socket on which a new process gets the file descriptors that its work shares with the app.

A process has one only if its work may need it. The descriptors wait in the socket until the process has
started; `worker/descriptor_channel` receives them.
"""

from __future__ import annotations

import fcntl
import socket
from array import array
from collections.abc import Sequence

from lightning_lite.values.multiprocessing_objects import Descriptor

#: File descriptors that the kernel takes in one message (SCM_MAX_FD of Linux).
_BATCH = 253


class DescriptorChannel:
    """A pair of sockets.

    Attributes:
        child_end: The file descriptor of the process's end; the caller closes it.

    Raises:
        OSError: There are too many open files.
    """

    def __init__(self) -> None:
        here, there = socket.socketpair()
        try:
            # Never 0 to 2, which are free if this process was started with a standard stream closed.
            self.child_end = fcntl.fcntl(there.fileno(), fcntl.F_DUPFD_CLOEXEC, 3)
        except OSError:
            here.close()
            raise
        finally:
            there.close()
        self._here = here

    def send(self, descriptors: Sequence[Descriptor]) -> None:
        """Send file descriptors, close them here, and close this end.

        Raises:
            OSError: The system refuses.
        """
        # The process does not read yet, so a full socket would block for ever.
        self._here.setblocking(False)
        try:
            for i in range(0, len(descriptors), _BATCH):
                fds = array("i", [descriptor.fileno() for descriptor in descriptors[i : i + _BATCH]])
                self._here.sendmsg([b"+"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, fds)])
            # A byte ends the stream: a close does not if a fork of this process has a copy of this end.
            self._here.send(b".")
        finally:
            for descriptor in descriptors:
                descriptor.close()
            self._here.close()

    def close(self) -> None:
        """Close this end; nothing was sent."""
        self._here.close()
