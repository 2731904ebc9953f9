"""Says to clients at `/api/v1/ws` when the state of the app has changed, as Lightning App did: by a counter.

    journal ◀── a look ten times a second, in one thread for all clients, while there is one
    thread ── the counter has grown ──▶ event loop ──▶ each client

A client that is slow gets the newest counter only. The state itself is at `/api/v1/state`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Thread
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from lightning_lite.engine.history import RunHistory
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.refusals import Refused
from lightning_lite.web.server_context import ServerContext
from lightning_lite.web.threads import in_thread

#: Seconds between two looks at the journal; if it has not grown, a look reads nothing.
_INTERVAL = 0.1

#: Maximum number of clients at the same time.
MAX_CLIENTS = 64


class StateFeed:
    """Counts the changes of the state of an app, while at least one client listens.

    Args:
        server_context: The data that all endpoints share.
    """

    def __init__(self, server_context: ServerContext) -> None:
        self._server_context = server_context
        self._lock = Lock()
        self._listeners: set[Callable[[], None]] = set()
        self._ended: Event | None = None
        self._stamp: Any = None  # of the journal from which `_found` was read
        self._found: Any = None
        self.count = 0

    def add(self, listener: Callable[[], None]) -> None:
        """Call a function after each change from now on, in a thread.

        Raises:
            Refused: There are too many.
        """
        with self._lock:
            if len(self._listeners) >= MAX_CLIENTS:
                raise Refused(503, f"There are {MAX_CLIENTS} clients already; close one.")
            self._listeners.add(listener)
            if self._ended is None:
                self._ended = Event()
                # Looked at before the client is accepted, so that it misses no change after that.
                arguments = (self._ended, self._read_state())
                Thread(
                    target=self._watch, args=arguments, name="lightning-lite-page-feed", daemon=True
                ).start()

    def remove(self, listener: Callable[[], None]) -> None:
        """Call a function no more."""
        with self._lock:
            self._listeners.discard(listener)
            if not self._listeners and self._ended is not None:
                self._ended.set()
                self._ended = None

    def _watch(self, ended: Event, seen: Any) -> None:
        while not ended.wait(_INTERVAL):
            found = self._read_state()
            if found is None or found == seen:
                continue
            seen = found
            with self._lock:
                self.count += 1
                listeners = list(self._listeners)
            for listener in listeners:
                listener()

    def _read_state(self) -> Any:
        """Return the state in a form that can be compared, or `None` if it can't be read."""
        try:
            assert self._server_context.run is not None
            run = self._server_context.find_run(self._server_context.run)
            reader = self._server_context.readers.reader_of(run)
        except (Refused, OSError):  # the run was removed, or its folder can't be read now
            return None
        follower = reader.follower
        with follower.lock:
            if not follower.is_complete:
                return None
            stamp = reader.name, follower.generation, follower.revision, run.state
            if stamp != self._stamp:
                self._stamp, self._found = stamp, _comparable(run, follower.history)
            return self._found


def _comparable(run: RunSummary, history: RunHistory) -> Any:
    """Return the content of `/api/v1/state`, with encoded values."""
    return run.state, {
        name: {attribute: value for attribute, value in values.items() if attribute[:1] != "_"}
        for name, values in history.states.items()
    }


async def serve_changes(feed: StateFeed, socket: WebSocket) -> None:
    """Send a client the counter after each change, until it closes the connection.

    Args:
        feed: The feed.
        socket: The connection, which the guard has checked.
    """
    loop, has_news = asyncio.get_running_loop(), asyncio.Event()

    def note() -> None:
        with suppress(RuntimeError):  # the loop is closed: the server ends
            loop.call_soon_threadsafe(has_news.set)

    await in_thread(feed.add, note)
    try:
        await socket.accept()
        reader = asyncio.ensure_future(_wait_for_end(socket))
        try:
            await _send_counters(feed, socket, has_news, reader)
        finally:
            reader.cancel()
    finally:
        feed.remove(note)


async def _send_counters(
    feed: StateFeed, socket: WebSocket, has_news: asyncio.Event, reader: asyncio.Future[None]
) -> None:
    while not reader.done():
        news = asyncio.ensure_future(has_news.wait())
        both: set[asyncio.Future[Any]] = {news, reader}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if not news.done():
            news.cancel()
            return
        has_news.clear()
        with suppress(WebSocketDisconnect, RuntimeError):  # it was closed in this moment; the reader says so
            await socket.send_text(str(feed.count))


async def _wait_for_end(socket: WebSocket) -> None:
    """Read and ignore the messages of the client, until it closes the connection."""
    with suppress(WebSocketDisconnect):
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
