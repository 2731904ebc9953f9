"""`ServerWork`: the base of works that serve. It finds a port for the server and holds it."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lightning_lite.tree.work import LightningWork


class ServerWork(LightningWork):
    """Base of works with a server.

    Args:
        *args: Arguments of `LightningWork`.
        **kwargs: Arguments of `LightningWork`.
    """

    _holds_port = False

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_port_fixed = self._port is not None

    @property
    def ready(self) -> bool:
        """Whether the server accepts requests."""
        return self.url != ""

    @contextmanager
    def _bound_port(self) -> Iterator[socket.socket]:
        """Bind the port of the work while a block runs, and yield the socket, which does not listen yet.

        So no other program can take the port before the server starts, and `url` stays empty until the server
        listens. If the user has not given the port and it is in use, another one is chosen.

        Raises:
            OSError: The given port is in use, or the address is not one of this machine.
        """
        with self._bind() as bound:
            self._holds_port = True
            self._port = bound.getsockname()[1]
            try:
                yield bound
            finally:
                self._holds_port = False
                self._url = ""

    def _bind(self) -> socket.socket:
        wanted = self._port or 0
        try:
            return _bound_socket(self._host, wanted)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                reason = error.strerror or str(error)
                raise OSError(error.errno, f"{self._title()} can't serve at {self._host}: {reason}") from None
        if self._is_port_fixed:
            raise OSError(
                errno.EADDRINUSE,
                f"{self._title()} can't serve at port {wanted}: another program uses it. "
                "End that program, pass another port=, or pass none for a free one",
            )
        bound = _bound_socket(self._host, 0)
        sys.stderr.write(f"{self._title()}: port {wanted} is in use, {bound.getsockname()[1]} is used\n")
        return bound

    def _title(self) -> str:
        return self.name or type(self).__qualname__


def _bound_socket(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol given, asyncio sets TCP_NODELAY: else each answer waits 40 ms for a delayed ACK.
    bound = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        # Lets a port be bound again right after the end of a server; on Windows it would share the port.
        if os.name == "posix":
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
    except BaseException:
        bound.close()
        raise
    return bound
