"""The base class of all frontends."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from typing import Any

from lightning_lite.frontends.port_owner import listens


class Frontend(ABC):
    """Serves a page of a flow on a port of its own; `configure_layout` of the flow returns it.

    The app starts it with its page, and stops it at its end, each in a thread that only waits for this
    frontend. Derive from it to show the pages of another library.

    Attributes:
        flow: The flow that shows it; the app sets it.
        log: Absolute path of the file for the output of the server; the app sets it.
        run: Absolute path of the folder of the run, by which `AppState` finds the app; the app sets it.

    Example:
        >>> class Silent(Frontend):
        ...     def start_server(self, host, port, root_path=""):
        ...         pass
        ...     def stop_server(self):
        ...         pass
        >>> Silent().failure() is None
        True
    """

    flow: Any = None
    log: str = os.devnull
    run: str = ""

    @abstractmethod
    def start_server(self, host: str, port: int, root_path: str = "") -> None:
        """Start the server; the app waits until it answers on the port.

        If the port is in use, raise the `OSError` of the system: the app calls this again, with another port.
        Its page has the address `http://host:port/` followed by the full name of the flow.

        Args:
            host: Address to bind.
            port: Port to bind.
            root_path: Prefix of all paths behind a proxy; "" here.
        """

    @abstractmethod
    def stop_server(self) -> None:
        """End the server.

        Raises:
            RuntimeError: It was not started.
        """

    def is_like(self, other: Frontend) -> bool:
        """Return whether another frontend serves the same, so that this server need not be replaced.

        `configure_layout` is called again and again, and mostly returns a new object each time.
        """
        return type(other) is type(self)

    def serves(self, host: str, port: int) -> bool:
        """Return whether this server is the one that listens on its port.

        Another program may take the port before the server does; its page is never shown. By default this
        process, or one that it has started, must listen there. Override it for a server that another process
        starts, such as a container.

        Args:
            host: The address that `start_server` got.
            port: The port that it got.
        """
        return listens(host, port)

    def failure(self) -> str | None:
        """Return why the server that was started does not run any more; `None` if it runs, or if unknown."""
        return None
