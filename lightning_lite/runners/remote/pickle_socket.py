"""Pickled messages on a socket between two processes of one user on one machine."""

from __future__ import annotations

import pickle
import select
import socket
from threading import Lock
from typing import Any

_HEADER = 8


class PickleSocket:
    """One end of a connection; several threads may send, one may receive.

    Args:
        connection: A connected socket that blocks; it belongs to this object from now on.

    Example:
        >>> ours, theirs = map(PickleSocket, socket.socketpair())
        >>> ours.send(("answer", 1))
        >>> theirs.receive()
        ('answer', 1)
        >>> ours.close()
        >>> theirs.receive() is None
        True
        >>> theirs.close()
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = Lock()

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a message; if the other end is closed, it is dropped."""
        data = pickle.dumps(message, 5)
        try:
            with self._lock:
                self._connection.sendall(len(data).to_bytes(_HEADER, "big") + data)
        except OSError:
            pass  # `receive` says that it is closed

    def wait(self, seconds: float | None = None) -> bool:
        """Wait until `receive` has something to return; return whether it has within so many seconds."""
        poller = select.poll()
        poller.register(self._connection, select.POLLIN)
        return bool(poller.poll(None if seconds is None else seconds * 1000))

    def wait_for_end(self) -> None:
        """Wait until the other end is closed, and read nothing."""
        poller = select.poll()
        poller.register(self._connection, getattr(select, "POLLRDHUP", 0))
        poller.poll()

    def receive(self) -> Any | None:
        """Wait for a message, and return it; `None` if the other end is closed."""
        header = self._read(_HEADER)
        data = None if header is None else self._read(int.from_bytes(header, "big"))
        return None if data is None else pickle.loads(data)

    def end(self) -> None:
        """Make the `receive` of both ends return `None`; callable from any thread."""
        try:
            self._connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # it is closed already

    def close(self) -> None:
        """Close this end."""
        self._connection.close()

    def _read(self, nbytes: int) -> bytearray | None:
        data = bytearray(nbytes)
        left = memoryview(data)
        while left:
            try:
                count = self._connection.recv_into(left)
            except OSError:
                return None
            if not count:
                return None
            left = left[count:]
        return data
