"""The servers of the frontends in the layout of a run: starts, watches and ends them.

flow ── keep, after a change of the layout ──▶ start_server, stop_server
thread ── does it answer? has it ended? ──▶ changed
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import NamedTuple

from lightning_lite import timing
from lightning_lite.frontends.base import Frontend
from lightning_lite.text import one_line
from lightning_lite.tree.ports import find_free_port, is_answering

HOST = "127.0.0.1"

#: Number of ports that a server gets: another program may take a port before the server binds it.
_MAX_TRIES = 3


class Place(NamedTuple):
    """Where a frontend can be seen.

    Attributes:
        url: Address of its page; "" while it has none.
        note: Why.
    """

    url: str
    note: str


class _Server:
    """One frontend that was started: its port, and what is known of it."""

    def __init__(self, frontend: Frontend) -> None:
        self.frontend = frontend
        self.port = 0
        self.tries = 0
        self.answers = False
        self.trouble = ""


class FrontendServers:
    """The servers of the frontends of one run.

    Args:
        folder: Absolute path of the folder for what the servers print, in that of the run; created if it is
            missing.
        changed: Called in a thread after a server has answered for the first time, or has ended.
        say: Called with a line for the user if a server fails.
        find_port: Returns a free port of an address.
    """

    def __init__(
        self,
        folder: str,
        changed: Callable[[], None],
        say: Callable[[str], None],
        find_port: Callable[[str], int] = find_free_port,
    ) -> None:
        self._folder = folder
        self._changed = changed
        self._say = say
        self._find_port = find_port
        self._lock = Lock()
        self._servers: dict[str, _Server] = {}
        self._has_news = Event()
        self._is_closed = False
        self._thread: Thread | None = None

    def keep(self, frontends: Mapping[str, Frontend]) -> None:
        """Start the frontends that are new, and stop those that are gone or have been replaced.

        Args:
            frontends: The frontends by the names of their flows.
        """
        with self._lock:
            for flow, server in list(self._servers.items()):
                wanted = frontends.get(flow)
                if wanted is None or not _is_like(server.frontend, wanted):
                    self._stop(self._servers.pop(flow))
            new = {flow: each for flow, each in frontends.items() if flow not in self._servers}
            for flow, frontend in new.items():
                self._servers[flow] = server = _Server(frontend)
                self._start(flow, server)
        if new and self._thread is None:
            self._thread = Thread(target=self._watch, name="lightning-lite-frontends", daemon=True)
            self._thread.start()
        self._has_news.set()

    def place(self, flow: str) -> Place:
        """Return where the frontend of a flow can be seen; callable from any thread."""
        with self._lock:
            server = self._servers.get(flow)
            if server is None or server.trouble:
                trouble = "is not served" if server is None else server.trouble
                return Place("", f"The page of {flow} can't be shown: {trouble}.")
            url = f"http://{HOST}:{server.port}/{flow}"
            return Place(url, "") if server.answers else Place("", f"The page of {flow} starts.")

    def close(self) -> None:
        """Stop all servers."""
        self._is_closed = True
        self._has_news.set()
        if self._thread is not None:
            self._thread.join()
        with self._lock:
            for server in self._servers.values():
                self._stop(server)
            self._servers.clear()

    def _start(self, flow: str, server: _Server) -> None:
        frontend, server.tries = server.frontend, server.tries + 1
        try:
            os.makedirs(self._folder, mode=0o700, exist_ok=True)
            frontend.log = os.path.join(self._folder, f"{flow}.log")
            frontend.run = os.path.dirname(self._folder)
            server.port = self._find_port(HOST)
            frontend.start_server(HOST, server.port)
        except Exception as error:  # noqa: BLE001 - a page that is missing must not end the app
            self._note_trouble(flow, server, one_line(f"{type(error).__name__}: {error}"))

    def _stop(self, server: _Server) -> None:
        with suppress(Exception):  # of a server that did not start, or of the user's class
            server.frontend.stop_server()

    def _note_trouble(self, flow: str, server: _Server, trouble: str) -> None:
        server.trouble = trouble
        self._say(f"The page of {flow} can't be shown: {trouble}.")

    # In the thread.

    def _watch(self) -> None:
        pause = timing.PROBE_INTERVAL_MIN
        while True:
            if self._has_news.wait(pause):
                self._has_news.clear()
                pause = timing.PROBE_INTERVAL_MIN
            if self._is_closed:
                return
            if self._look():
                self._changed()
            pause = min(pause * 2, timing.PROBE_INTERVAL_MAX)

    def _look(self) -> bool:
        """Look at all servers once, and return whether something has changed."""
        has_changed = False
        with self._lock:
            for flow, server in self._servers.items():
                if server.trouble:
                    continue
                failure = _failure_of(server.frontend)
                if failure is not None:
                    has_changed = True
                    if server.tries < _MAX_TRIES and not server.answers:
                        self._stop(server)
                        self._start(flow, server)
                    else:
                        self._note_trouble(flow, server, f"{failure}; see {server.frontend.log}")
                elif not server.answers and is_answering(HOST, server.port):
                    server.answers = has_changed = True
        return has_changed


# A class of the user may raise anything: a page that is missing must not end the app, nor the thread.


def _is_like(frontend: Frontend, other: Frontend) -> bool:
    try:
        return frontend.is_like(other)
    except Exception:  # noqa: BLE001 - then it is started again
        return False


def _failure_of(frontend: Frontend) -> str | None:
    try:
        return frontend.failure()
    except Exception as error:  # noqa: BLE001 - see above
        return one_line(f"{type(error).__name__}: {error}")
