"""The port of a server: binds it, so that no other program can; listens; names the program that uses it."""

from __future__ import annotations

import errno
import os
import socket
import sys
from typing import Any

from lightning_lite import sockets

#: How many ports after the wanted one are tried, before the system chooses one.
_NEAR = 20

#: Number of connections that may wait until the server accepts them, as of uvicorn.
_BACKLOG = 2048

#: How often a port that seems to be in use is tried.
_ATTEMPTS = 3


class PortInUse(OSError):
    """Another program uses the port.

    Args:
        port: The port.
        holder: The program that uses it, in words.
    """

    def __init__(self, port: int, holder: str) -> None:
        super().__init__(errno.EADDRINUSE, f"port {port} is in use by {holder}")
        self.port = port
        self.holder = holder

    def __reduce__(self) -> tuple[type[PortInUse], tuple[int, str]]:
        return PortInUse, (self.port, self.holder)


def bind(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to a port and does not listen yet.

    Args:
        host: Address of this machine.
        port: The port; 0 means a free one.

    Raises:
        PortInUse: Another program has bound the port, even if it does not listen yet.
        OSError: The address is not one of this machine.

    Example:
        >>> with bind("127.0.0.1", 0) as first:
        ...     try:
        ...         bind("127.0.0.1", first.getsockname()[1])
        ...     except PortInUse as error:
        ...         print("in use by", error.holder)
        in use by another program
    """
    # On Linux, two sockets with SO_REUSEADDR can have one port until one of them listens. So it is set only
    # where connections of an earlier server, which has ended, keep the port.
    reuse = os.name == "posix" and sys.platform != "linux"
    for _ in range(_ATTEMPTS):
        try:
            return sockets.bind(host, port, reuse=reuse)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
        # Its last connection may disappear between these two lines, so there is a second attempt without any.
        reuse = reuse or _has_only_ended_connections(port)
    raise PortInUse(port, holder_of(port))


def listen(bound: socket.socket) -> None:
    """Let a socket that is bound accept connections.

    Args:
        bound: The socket.
    """
    bound.listen(_BACKLOG)
    share(bound)  # its connections inherit it, so that the next server can bind the port again


def share(bound: socket.socket) -> None:
    """Let each program that sets SO_REUSEADDR bind the port of a socket, too, as long as none listens there.

    Args:
        bound: The socket.
    """
    if os.name == "posix":  # elsewhere, SO_REUSEADDR lets others take the port of a server that listens
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)


def bind_next(host: str, port: int) -> socket.socket:
    """Return a socket that is bound to the next free port.

    Args:
        host: Address of this machine.
        port: A port that is in use.

    Raises:
        OSError: The address is not one of this machine.
    """
    for next_port in range(port + 1, min(port + 1 + _NEAR, 65536)):
        try:
            return bind(host, next_port)
        except OSError as error:
            if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                raise
    return bind(host, 0)


def holder_of(port: int) -> str:
    """Return the program that listens at a port: `python (process 4711)`, or `another program`.

    Args:
        port: The port.
    """
    pids = [each.pid for each in _connections(port) if each.status == "LISTEN" and each.pid is not None]
    return _described(pids[0]) if pids else "another program"


def _described(pid: int) -> str:
    import psutil  # noqa: PLC0415

    try:
        return f"{psutil.Process(pid).name()} (process {pid})"
    except psutil.Error:  # it has ended, or is hidden
        return f"process {pid}"


def _has_only_ended_connections(port: int) -> bool:
    """Return whether a port has connections but no server; a socket that is only bound does not count."""
    statuses = [connection.status for connection in _connections(port)]
    return bool(statuses) and "LISTEN" not in statuses


def _connections(port: int) -> list[Any]:
    import psutil  # noqa: PLC0415 - it takes 20 ms, and only a port that is taken needs it

    try:
        found = psutil.net_connections("tcp")
    except (psutil.Error, OSError):  # some systems show them to the administrator only
        return []
    return [each for each in found if each.laddr and each.laddr.port == port]
