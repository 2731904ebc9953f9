"""The servers of the frontends in the layout of a run: starts, watches and ends them.

flow ── keep, after a change of the layout ──▶ a thread for each frontend
thread ── start_server, then: does it answer? is it ours? has it ended? then stop_server ──▶ changed

The code of a frontend may come from a user, and be slow: no other thread waits for it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from threading import Event, Thread
from time import monotonic
from typing import NamedTuple

from lightning_lite import timeouts
from lightning_lite.frontends.base import Frontend
from lightning_lite.harmless_text import one_line
from lightning_lite.sockets import find_free_port, is_answering

HOST = "127.0.0.1"

#: Exceptions that code of the user may raise in a thread: `sys.exit` would end the thread, and print nothing.
_ERRORS = (Exception, SystemExit)

#: Number of ports that a server gets: another program may take a port before the server binds it.
_MAX_TRIES = 3


class PageAddress(NamedTuple):
    """Where a frontend can be seen.

    Attributes:
        url: Address of its page; "" while it has none.
        note: Why.
    """

    url: str
    note: str


class _Options(NamedTuple):
    """Options that all servers of a run share; see `FrontendServers`."""

    folder: str
    changed: Callable[[], None]
    say: Callable[[str], None]
    find_port: Callable[[str], int]


class _End(NamedTuple):
    """Why a server does not serve any more.

    Attributes:
        trouble: In words; "" if it was asked to end.
        may_retry: Whether it may serve on another port.
    """

    trouble: str
    may_retry: bool


class _Server:
    """One frontend: its thread starts it, watches it and stops it.

    Args:
        flow: Name of the flow that shows it.
        frontend: The frontend.
        options: The options that all servers share.
        before: Servers that must have ended before this one starts.

    Attributes:
        address: Where it can be seen, as of now.
    """

    def __init__(self, flow: str, frontend: Frontend, options: _Options, before: Sequence[_Server]) -> None:
        self.flow = flow
        self.frontend = frontend
        self.address = PageAddress("", f"The page of {flow} starts.")
        self._options = options
        self._before = before
        self._must_end = Event()
        self._thread = Thread(target=self._run, name="lightning-lite-frontend", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether its thread still runs."""
        return self._thread.is_alive()

    def end(self) -> None:
        """Let its thread stop it, and return at once."""
        self._must_end.set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until its thread has ended, for at most so many seconds."""
        self._thread.join(timeout)

    def _run(self) -> None:
        for other in self._before:
            other.join()
        for num_tries in range(1, _MAX_TRIES + 1):
            if self._must_end.is_set():
                return
            end = self._serve()
            with suppress(*_ERRORS):  # of a server that did not start, or of the user's class
                self.frontend.stop_server()
            if self._must_end.is_set():
                return
            if num_tries == _MAX_TRIES or not end.may_retry:
                note = f"The page of {self.flow} can't be shown: {end.trouble}."
                self._options.say(note)
                self._show(PageAddress("", note))
                return

    def _serve(self) -> _End:
        """Start the frontend on a free port, and watch it until it has to end, or fails."""
        frontend, folder = self.frontend, self._options.folder
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)
            frontend.log = os.path.join(folder, f"{self.flow}.log")
            frontend.run = os.path.dirname(folder)
            port = self._options.find_port(HOST)
            frontend.start_server(HOST, port)
        except _ERRORS as error:
            return _End(_describe(error), isinstance(error, OSError) and error.errno == errno.EADDRINUSE)
        answers, pause = False, timeouts.PROBE_INTERVAL_MIN
        while not self._must_end.wait(pause):
            pause = min(pause * 2, timeouts.PROBE_INTERVAL_MAX)
            failure = _failure_of(frontend)
            if failure is not None:
                return _End(f"{failure}; see {frontend.log}", not answers)
            if not answers and is_answering(HOST, port):
                if not _serves(frontend, port):
                    return _End(f"another program has taken the port {port}", may_retry=True)
                answers = True
                self._show(PageAddress(f"http://{HOST}:{port}/{self.flow}", ""))
        return _End("", may_retry=False)

    def _show(self, address: PageAddress) -> None:
        self.address = address
        if not self._must_end.is_set():
            self._options.changed()


class FrontendServers:
    """The servers of the frontends of one run.

    Args:
        folder: Absolute path of the folder for the output of the servers, in the folder of the run; it is
            created if it is missing.
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
        self._options = _Options(folder, changed, say, find_port)
        self._servers: dict[str, _Server] = {}
        self._ending: list[_Server] = []

    def keep(self, frontends: Mapping[str, Frontend]) -> None:
        """Start the frontends that are new, and stop those that are gone or have been replaced.

        It waits for none of them.

        Args:
            frontends: The frontends by the names of their flows.
        """
        kept: dict[str, _Server] = {}
        for flow, server in self._servers.items():
            wanted = frontends.get(flow)
            if wanted is not None and _is_like(server.frontend, wanted):
                kept[flow] = server
            else:
                server.end()
                self._ending.append(server)
        self._ending = [server for server in self._ending if server.is_alive]
        for flow, frontend in frontends.items():
            if flow not in kept:
                before = [each for each in self._ending if each.flow == flow or each.frontend is frontend]
                kept[flow] = _Server(flow, frontend, self._options, before)
        self._servers = kept

    def address_of(self, flow: str) -> PageAddress:
        """Return where the frontend of a flow can be seen; callable from any thread."""
        server = self._servers.get(flow)
        if server is None:
            return PageAddress("", f"The page of {flow} can't be shown: it is not served.")
        return server.address

    def close(self) -> None:
        """Stop all servers; one that does not stop in time is named, and left to the end of the process."""
        servers = [*self._ending, *self._servers.values()]
        for server in servers:
            server.end()
        deadline = monotonic() + timeouts.FRONTEND_STOP_TIMEOUT
        for server in servers:
            server.join(max(0.0, deadline - monotonic()))
            if server.is_alive:
                self._options.say(
                    f"The page of {server.flow}: {type(server.frontend).__qualname__} has not stopped within "
                    f"{timeouts.FRONTEND_STOP_TIMEOUT:g} seconds; the app ends without waiting for it."
                )
        self._servers, self._ending = {}, []


def _is_like(frontend: Frontend, other: Frontend) -> bool:
    try:
        return frontend.is_like(other)
    except Exception:  # noqa: BLE001 - then it is started again. `SystemExit` may be that of a signal here
        return False


def _serves(frontend: Frontend, port: int) -> bool:
    try:
        return frontend.serves(HOST, port)
    except _ERRORS:  # then it may be the page of another program
        return False


def _failure_of(frontend: Frontend) -> str | None:
    try:
        return frontend.failure()
    except _ERRORS as error:
        return _describe(error)


def _describe(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {error}")
