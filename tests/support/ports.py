"""Ports of this machine on which no server listens."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager


def free_port() -> int:
    """Return a port on which no server listens at the moment."""
    with closed_port() as port:
        return port


@contextmanager
def closed_port() -> Iterator[int]:
    """Hold a port for the `with` block: nothing listens there, and no other process gets it."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        yield int(one.getsockname()[1])
