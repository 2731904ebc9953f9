"""`ServerWork`: the base of works that serve. It finds a port for the server and holds it."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from lightning_lite.components.server_port import PortInUse, bind, bind_next
from lightning_lite.tree.work import LightningWork


class ServerWork(LightningWork):
    """Base of works with a server.

    Args:
        *args: Arguments of `LightningWork`.
        **kwargs: Arguments of `LightningWork`.
    """

    _holds_port = False

    #: The port that the work has by default. If another program uses it, the next free one is taken.
    _default_port: ClassVar[int | None] = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._is_port_fixed = self._port not in (None, self._default_port)

    @property
    def ready(self) -> bool:
        """Whether the server accepts requests."""
        return self.url != ""

    @contextmanager
    def _bound_port(self) -> Iterator[socket.socket]:
        """Bind the port of the work while a block runs, and yield the socket, which does not listen yet.

        So no other program can take the port before the server starts, and `url` stays empty until the server
        listens. If the user has not given the port and it is in use, the next free one is taken.

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
            return bind(self.host, wanted)
        except PortInUse as error:
            if self._is_port_fixed:
                raise OSError(
                    errno.EADDRINUSE,
                    f"{self._title()} can't serve at port {wanted}: {error.holder} uses it. "
                    "End that program, pass another port=, or pass none for a free one",
                ) from None
        except OSError as error:
            reason = error.strerror or str(error)
            raise OSError(error.errno, f"{self._title()} can't serve at {self.host}: {reason}") from None
        bound = bind_next(self.host, wanted)
        sys.stderr.write(f"{self._title()}: port {wanted} is in use, {bound.getsockname()[1]} is used\n")
        return bound

    def _title(self) -> str:
        return self.name or type(self).__qualname__
