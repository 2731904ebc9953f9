"""Ports of servers in works: finds a free one, and checks whether a server answers."""

from __future__ import annotations

import os
from _thread import get_ident  # threading would cost each work 1 ms

from lightning_lite import timeouts
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def addresses() -> tuple[str, str]:
    """Return the private and the public address of this machine; the second is "" if there is none."""
    return os.environ.get("LIGHTNING_NODE_PRIVATE_IP", "127.0.0.1"), os.environ.get("LIGHTNING_NODE_IP", "")


#: Hosts that stand for all addresses of the machine.
ALL_ADDRESSES = ("0.0.0.0", "::", "")


def find_free_port(host: str) -> int:
    """Return the number of a TCP port that is free now.

    Args:
        host: Address of this machine, on which the port must be free.

    Raises:
        OSError: `host` is not an address of this machine.
    """
    import _socket  # noqa: PLC0415 - it takes 1 ms, `socket` would take 10; few works need it

    probe = _socket.socket(_family(_socket, host), _socket.SOCK_STREAM)
    try:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
    finally:
        probe.close()


def is_answering(host: str, port: int) -> bool:
    """Return whether a server accepts connections at this address and port."""
    import _socket  # noqa: PLC0415 - as above

    try:
        probe = _socket.socket(_family(_socket, host), _socket.SOCK_STREAM)
    except OSError:  # a machine without IPv6
        return False
    try:
        probe.settimeout(timeouts.PROBE_TIMEOUT)
        return probe.connect_ex((host, port)) == 0
    except OSError:  # the address does not exist, or not yet
        return False
    finally:
        probe.close()


def _family(sockets: Any, host: str) -> int:
    """Return the family of an address: that of IPv6 if it has a colon."""
    return int(sockets.AF_INET6 if ":" in host else sockets.AF_INET)


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
