"""Which process listens on a port of this machine."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from lightning_lite.sockets import ALL_ADDRESSES

if TYPE_CHECKING:
    import psutil


def listens(host: str, port: int, pid: int | None = None) -> bool:
    """Return whether a process, or one that it has started, listens on a port.

    Args:
        host: Address of this machine.
        port: The port.
        pid: Process id; by default the id of this process.

    Example:
        >>> import socket
        >>> with socket.create_server(("127.0.0.1", 0)) as server:
        ...     listens("127.0.0.1", server.getsockname()[1])
        True
    """
    import psutil  # noqa: PLC0415 - takes 20 ms, and only an app with a frontend needs it

    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(os.getpid() if pid is None else pid)
        return any(_listens(each, host, port) for each in (process, *process.children(recursive=True)))
    return False


def _listens(process: psutil.Process, host: str, port: int) -> bool:
    import psutil  # noqa: PLC0415 - as above

    with suppress(psutil.Error):  # it has ended, or belongs to another user
        return any(
            each.status == psutil.CONN_LISTEN
            and each.laddr.port == port
            and each.laddr.ip in (host, *ALL_ADDRESSES)  # a server at all addresses answers at this one
            for each in process.net_connections("tcp")
        )
    return False
