"""Where a process runs: the host machine, the process id there, and addresses of the machine.

A process id means something on its own host only. A program that reads one from a file or a message compares
the host first, so that it never signals or measures another process that has the same number here.
"""

from __future__ import annotations

import os

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from typing import Self

#: The variable in which works of a runner of several machines find the address at which others reach them.
NODE_ADDRESS_VARIABLE = "LIGHTNING_LITE_NODE_ADDRESS"


class Place(NamedTuple):
    """The place of a process.

    Attributes:
        host: Name of the host machine.
        pid: Process id on that host.

    Example:
        >>> import os
        >>> Place.of(os.getpid()).is_here()
        True
        >>> str(Place("no-such-host", 12))
        'process 12 on no-such-host'
    """

    host: str
    pid: int

    @classmethod
    def of(cls, pid: int) -> Self:
        """Return the place of a process on this host."""
        return cls(this_host(), pid)

    def is_here(self) -> bool:
        """Return whether it is on this host, so that its process id can be used."""
        return self.host == this_host()

    def __str__(self) -> str:
        return f"process {self.pid}" if self.is_here() else f"process {self.pid} on {self.host}"


def this_host() -> str:
    """Return the name of this host machine."""
    import _socket  # noqa: PLC0415 - a library that works need not load; `socket` would take 4 ms

    return _socket.gethostname()


def node_address() -> str:
    """Return the address at which other machines reach this process, "" with a runner of one machine."""
    return os.environ.get(NODE_ADDRESS_VARIABLE, "")


def is_loopback(host: str) -> bool:
    """Return whether only programs on this machine can reach an address.

    Example:
        >>> is_loopback("localhost"), is_loopback("127.0.0.5"), is_loopback("::1"), is_loopback("0.0.0.0")
        (True, True, True, False)
    """
    if host == "localhost":
        return True
    import ipaddress  # noqa: PLC0415 - it takes milliseconds, and few works have a server

    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def bracketed(host: str) -> str:
    """Return a host as it is written in an address of the web: one of IPv6 is in brackets.

    Example:
        >>> bracketed("::1"), bracketed("127.0.0.1")
        ('[::1]', '127.0.0.1')
    """
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
