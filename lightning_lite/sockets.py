"""Addresses and sockets of servers: binds one, finds a free port, and waits until a server answers.

The processes of all works load this module, so it loads modules that few works need only when they are used.
"""

from __future__ import annotations

import os
from _thread import get_ident

from lightning_lite import timeouts
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

#: Hosts that stand for all addresses of the machine.
ALL_ADDRESSES = ("0.0.0.0", "::", "")

#: The variable in which works of a runner of several machines find the address at which others reach them.
NODE_ADDRESS_VARIABLE = "LIGHTNING_LITE_NODE_ADDRESS"


def node_address() -> str:
    """Return the address at which other machines reach this process, "" with a runner of one machine."""
    return os.environ.get(NODE_ADDRESS_VARIABLE, "")


def machine_addresses() -> tuple[str, str]:
    """Return the private and the public address of this machine; the second is "" if there is none."""
    return os.environ.get("LIGHTNING_NODE_PRIVATE_IP", "127.0.0.1"), os.environ.get("LIGHTNING_NODE_IP", "")


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


def family_of(host: str) -> int:
    """Return the family of an address: IPv6 if it has a colon.

    Example:
        >>> import socket
        >>> family_of("::1") == socket.AF_INET6, family_of("127.0.0.1") == socket.AF_INET
        (True, True)
    """
    import _socket  # noqa: PLC0415 - it takes 1 ms, `socket` would take 10; few works need it

    return _socket.AF_INET6 if ":" in host else _socket.AF_INET


def bind(host: str, port: int, *, reuse: bool, backlog: int | None = None) -> socket.socket:
    """Return a TCP socket that is bound to a port.

    Args:
        host: Address of this machine.
        port: The port; 0 means a free one.
        reuse: Whether to set SO_REUSEADDR.
        backlog: Number of connections that may wait until the server accepts them; `None` if the socket
            must not listen yet.

    Raises:
        OSError: The address is not one of this machine, or the port is in use.

    Example:
        >>> with bind("127.0.0.1", 0, reuse=False, backlog=1) as server:
        ...     is_answering(*server.getsockname())
        True
    """
    import socket  # noqa: PLC0415 - it takes 10 ms, and few works have a server

    # With the protocol given, asyncio sets TCP_NODELAY: else each answer waits 40 ms for a delayed ACK.
    bound = socket.socket(family_of(host), socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        if reuse:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        if backlog is not None:
            bound.listen(backlog)
    except BaseException:
        bound.close()
        raise
    return bound


def find_free_port(host: str) -> int:
    """Return the number of a TCP port that is free now.

    Args:
        host: Address of this machine, on which the port must be free.

    Raises:
        OSError: `host` is not an address of this machine.
    """
    import _socket  # noqa: PLC0415 - as above

    probe = _socket.socket(family_of(host), _socket.SOCK_STREAM)
    try:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
    finally:
        probe.close()


def is_answering(host: str, port: int) -> bool:
    """Return whether a server accepts connections at this address and port."""
    import _socket  # noqa: PLC0415 - as above

    try:
        probe = _socket.socket(family_of(host), _socket.SOCK_STREAM)
    except OSError:  # a machine without IPv6
        return False
    try:
        probe.settimeout(timeouts.PROBE_TIMEOUT)
        return probe.connect_ex((host, port)) == 0
    except OSError:  # the address does not exist, or not yet
        return False
    finally:
        probe.close()


class PortWatch:
    """Tries to connect to a port, at increasing intervals, until a server answers.

    Args:
        host: Address of the server.
        port: Its port.
        answered: Called when a server answers, in a thread of this object.
    """

    def __init__(self, host: str, port: int, answered: Callable[[], None]) -> None:
        import threading  # noqa: PLC0415 - it takes 4 ms, and few works have a server

        self._host = host
        self._port = port
        self._answered = answered
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lightning-lite-port", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop trying, and wait until the thread has ended."""
        self._ended.set()
        if self._thread.ident != get_ident():
            self._thread.join()

    def _watch(self) -> None:
        pause = timeouts.PROBE_INTERVAL_MIN
        while not self._ended.is_set():
            if is_answering(self._host, self._port):
                self._answered()
                return
            self._ended.wait(pause)
            pause = min(pause * 2, timeouts.PROBE_INTERVAL_MAX)
