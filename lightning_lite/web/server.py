"""The server of the page: its socket, its address with the token, and its end.

    lightning-lite ui ──▶ serve ──▶ uvicorn ──▶ Guard ──▶ the routes

The address has the token behind `#`, which browsers send to no server. A browser that is opened gets a file
of this user that leads to the address: its command line is readable by other users.
"""

from __future__ import annotations

import errno
import html
import os
import re
import secrets
import signal
import socket
import sys
import tempfile
import webbrowser
from contextlib import suppress
from importlib.util import find_spec
from threading import Event, Thread
from time import monotonic
from types import FrameType
from typing import NoReturn
from urllib.parse import quote

import psutil
import uvicorn

from lightning_lite import sockets
from lightning_lite.frontends.programs.parent import wait_for_end
from lightning_lite.monitor.layout_file import shows_something
from lightning_lite.regular_files import open_regular
from lightning_lite.sockets import ALL_ADDRESSES, bracketed, is_loopback
from lightning_lite.web.application import create_app
from lightning_lite.web.lightning_api import SOCKET_PACKAGE
from lightning_lite.web.server_context import PERIOD, ServerContext

HOST = "127.0.0.1"
PORT = 8765

#: Number of ports that are tried if the first one is in use.
_MAX_TRIES = 100

#: Number of connections that may wait until the server accepts them.
_BACKLOG = 128

#: Seconds after which the file that leads a browser to the address is removed.
_REDIRECT_LIFETIME = 30.0

#: Seconds since the last request in which a page still counts as open.
_OPEN_PAGE = 3.0

#: Seconds at most until an answer of the ended app is sent, and between two checks whether it is.
_LAST_ANSWER, _PAUSE = 2.0, 0.005

#: Seconds within which an open page asks again.
_LAST_QUESTION = 2 * PERIOD

#: Seconds for which answers under way are waited for at the end.
_GRACE = 0

#: Maximum of bytes of a message from a client over a websocket, which expects none.
_MAX_SOCKET_MESSAGE = 1024

#: Maximum of bytes of a file with a token.
_MAX_TOKEN = 1000

_LOOPBACK = ("127.0.0.1", "localhost", "[::1]")


class PortsInUse(OSError):
    """No port is free."""


class PageServer:
    """One server; `run` serves until a signal ends it.

    Args:
        server_context: The state that its endpoints share.
        host: Address to bind.
        port: The first port to try; 0 for any free one.
        token: The token that requests must have; a new one if it is `None`.

    Raises:
        PortsInUse: This port and those after it are in use.
        OSError: The address can't be bound.

    Attributes:
        address: Address of the page, with the token.
        port: The port that was bound.
    """

    def __init__(
        self, server_context: ServerContext, host: str = HOST, port: int = PORT, token: str | None = None
    ) -> None:
        self._server_context = server_context
        self._token = token or make_token()
        self._socket = _bind(host, port)
        self.host = host
        self.port: int = self._socket.getsockname()[1]
        server_context.port = self.port
        names = hosts_of(host)
        self._hosts = [f"{name}:{self.port}" for name in names]
        self._hosts += names if self.port == 80 else []  # browsers leave out this port
        shown = host if host in _LOOPBACK else names[-1]
        self.address = f"http://{bracketed(shown)}:{self.port}/#token={self._token}"
        if server_context.run is not None:
            self.address += f"&to=/runs/{quote(server_context.run, safe='')}"
            if shows_something(server_context.find_run(server_context.run)):
                self.address += "/app"

    def run(self, *, with_parent: bool = False, opens_browser: bool = False) -> None:
        """Serve until SIGINT or SIGTERM.

        Args:
            with_parent: Whether to serve only until the standard input or the parent ends.
            opens_browser: Whether to open a browser.

        Raises:
            KeyboardInterrupt: After SIGINT.
            SystemExit: After SIGTERM, with the code 143.
        """
        app = create_app(self._server_context, token=self._token, hosts=self._hosts)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="websockets-sansio" if find_spec(SOCKET_PACKAGE) else "none",
            ws_max_size=_MAX_SOCKET_MESSAGE,
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            proxy_headers=False,  # a header must not change who the client is
            server_header=False,
            timeout_graceful_shutdown=_GRACE,
        )
        server = uvicorn.Server(config)
        if with_parent:
            Thread(target=self._end_with_parent, name="lightning-lite-page-parent", daemon=True).start()
        # Without a run, the first view is the list of runs: read it while the browser loads the page.
        if self._server_context.run is None:
            Thread(
                target=self._server_context.runs.page, name="lightning-lite-page-runs", daemon=True
            ).start()
        # uvicorn sends the signal that has ended it once more, to the handler from before.
        previous = signal.signal(signal.SIGTERM, _exit)
        link = None
        try:
            if opens_browser:
                link = open_browser(self.address)
            server.run(sockets=[self._socket])
        finally:
            if link is not None:
                link.remove()
            signal.signal(signal.SIGTERM, previous)
            self._socket.close()

    def close(self) -> None:
        """Close the socket of a server that was not run."""
        self._socket.close()

    def _end_with_parent(self) -> None:
        """End the process when its parent writes to its standard input, closes that, or ends.

        An open page asks once more, so that it shows how the run has ended. Answers of the app are sent
        before, because a request may have ended it.
        """
        wait_for_end(os.getppid())
        now = monotonic()
        while self._server_context.num_unsent and monotonic() < now + _LAST_ANSWER:
            Event().wait(_PAUSE)
        if now - self._server_context.last_request < _OPEN_PAGE:
            Event().wait(_LAST_QUESTION)
        os._exit(0)  # there is nothing to clean up, and the app waits


def make_token() -> str:
    """Return a new token of 192 bits."""
    return secrets.token_urlsafe(24)


def token_in(path: str) -> str:
    """Return the token in a file, which is created with a new one if it is missing.

    Args:
        path: The file; only its user may read it.

    Raises:
        OSError: It can't be read or created, it is not a regular file, or others may read it.
        ValueError: It has no token of at least 32 letters, digits and `-_`.
    """
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with open(fd, "w", encoding="ascii") as file:
            file.write(f"{make_token()}\n")
    with open(open_regular(path), "rb") as found:
        status = os.fstat(found.fileno())
        if os.name == "posix" and (status.st_uid != os.geteuid() or status.st_mode & 0o077):
            raise PermissionError(
                errno.EPERM, f"others may read or write it; make it private with chmod 600 {path}", path
            )
        token = found.read(_MAX_TOKEN + 1).decode("ascii", "replace").strip()
    if not re.fullmatch(r"[A-Za-z0-9_-]{32,200}", token):
        raise ValueError(
            f"{path!r} has no token of 32 to 200 letters, digits and -_; remove it for a new one"
        )
    return token


def hosts_of(host: str) -> list[str]:
    """Return the names under which a server that is bound to `host` may be asked, without the port.

    For all addresses of the machine, these are its numeric addresses and its own name.

    Example:
        >>> hosts_of("127.0.0.1")
        ['127.0.0.1', 'localhost', '[::1]']
        >>> hosts_of("192.0.2.7")[-1]
        '192.0.2.7'
    """
    names = list(_LOOPBACK)
    if host in ALL_ADDRESSES:
        families = (socket.AF_INET, socket.AF_INET6)
        found = [
            each.address
            for all_of in psutil.net_if_addrs().values()
            for each in all_of
            if each.family in families
        ]
        # The first one that is not of the loopback is last: it is the one to print.
        outside = [address for address in found if "%" not in address and not is_loopback(address)]
        names += [bracketed(address) for address in (socket.gethostname(), *outside[::-1])]
    elif bracketed(host) not in names:
        names.append(bracketed(host))
    return names


def _bind(host: str, port: int) -> socket.socket:
    last = min(port + _MAX_TRIES, 65_536)
    for tried in range(port, last) if port else [0]:
        try:
            # Lets a port be bound again right after the end of a server; on Windows it would share the port.
            return sockets.bind(host, tried, reuse=os.name == "posix", backlog=_BACKLOG)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise
    raise PortsInUse(errno.EADDRINUSE, f"the ports {port} to {last - 1} are in use; choose one with --port")


def _exit(signum: int, _: FrameType | None) -> NoReturn:
    sys.exit(128 + signum)


class BrowserLink:
    """A file of this user that leads a browser to the address; it is removed after some seconds.

    Args:
        address: The address with the token.
    """

    def __init__(self, address: str) -> None:
        fd, self.path = tempfile.mkstemp(prefix="lightning-lite-", suffix=".html")  # with the mode 0600
        with open(fd, "w", encoding="utf-8") as file:
            escaped = html.escape(address)
            file.write(
                '<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">'
                f'<meta http-equiv="refresh" content="0; url={escaped}">'
                f'<title>lightning_lite</title><a href="{escaped}">Open the page</a>\n'
            )

    def remove(self) -> None:
        """Remove the file."""
        with suppress(OSError):
            os.unlink(self.path)


def can_open_browser() -> bool:
    """Return whether there is a browser, a display and a terminal, so that a user sees the window."""
    if not (sys.stdout is not None and sys.stdout.isatty()):
        return False
    has_display = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
    if not has_display:
        return False
    try:
        webbrowser.get()
    except webbrowser.Error:
        return False
    return True


def open_browser(address: str) -> BrowserLink:
    """Let a browser open the address, in a thread, and return the file that leads it there.

    The thread removes the file some seconds later; the caller does so if the server ends before.

    Args:
        address: The address with the token.
    """
    link = BrowserLink(address)

    def open_it() -> None:
        webbrowser.open(f"file://{quote(link.path)}")
        Event().wait(_REDIRECT_LIFETIME)
        link.remove()

    Thread(target=open_it, name="lightning-lite-page-browser", daemon=True).start()
    return link
