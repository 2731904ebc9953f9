"""Ports of works that serve: find a free one, and see whether a server answers on it."""

from __future__ import annotations

import os
from _thread import get_ident

from lightning_lite import settings
from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def addresses() -> tuple[str, str]:
    """Return the inner and the outer address of this machine, the latter "" where there is none."""
    return os.environ.get("LIGHTNING_NODE_PRIVATE_IP", "127.0.0.1"), os.environ.get("LIGHTNING_NODE_IP", "")


def find_free_port(host: str) -> int:
    """Return the number of a TCP port that is free at this moment.

    Raises:
        OSError: `host` is no address of this machine.
    """
    import _socket  # noqa: PLC0415 - 1 ms for each child; socket itself would be 10

    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
    finally:
        probe.close()


def is_answering(host: str, port: int) -> bool:
    """Return whether a server accepts connections there."""
    import _socket  # noqa: PLC0415

    probe = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    try:
        probe.settimeout(settings.PROBE_TIMEOUT)
        return probe.connect_ex((host, port)) == 0
    except OSError:  # the address has no meaning here, or not yet
        return False
    finally:
        probe.close()


class PortWatch:
    """Tries a port, less and less often, until it answers.

    Args:
        host: Address of the server.
        port: Its port.
        answered: What to call, in a thread of the watch, when it does.
    """

    def __init__(self, host: str, port: int, answered: Callable[[], None]) -> None:
        import threading  # noqa: PLC0415 - 4 ms, and most works serve nothing

        self._host = host
        self._port = port
        self._answered = answered
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="lightning-lite-port", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop trying, and wait for the thread."""
        self._ended.set()
        if self._thread.ident != get_ident():
            self._thread.join()

    def _watch(self) -> None:
        pause = settings.PROBE_INTERVAL_MIN
        while not self._ended.is_set():
            if is_answering(self._host, self._port):
                self._answered()
                return
            self._ended.wait(pause)
            pause = min(pause * 2, settings.PROBE_INTERVAL_MAX)
