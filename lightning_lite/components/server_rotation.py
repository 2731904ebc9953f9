"""`ServerRotation`: sends requests to several servers, in batches, and watches which of them answer.

    ask(body) ──▶ waiting ──▶ batch ──▶ the server that has been free for longest ──▶ answers
                     ▲                        │ no connection
                     └─── a second server ────┘ out of the rotation, until it answers again

All of it runs in one event loop. Only the process of a load balancer imports this module.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httpx

_log = logging.getLogger("lightning_lite")

#: Status codes of HTTP.
_BAD_GATEWAY, _UNAVAILABLE, _TIMEOUT = 502, 503, 504

#: Seconds for which an idle connection is kept; less than the 5 after which uvicorn closes it, because a
#: request on a connection that is closed at that moment would look like the death of the server.
_KEEP_ALIVE = 2.0

#: Seconds before the first attempt to reach a lost server again; doubled for each further one.
_PROBE_PAUSE = 0.05

#: Maximum of seconds between two attempts, and the time limit of one.
_PROBE_LIMIT = 1.0

NO_SERVER = "no server is ready yet, try again later"
ENDING = "the load balancer is ending"


class Unanswered(Exception):
    """A request gets an error.

    Args:
        status: Status code of HTTP.
        detail: The error: a text, or the JSON that a server has sent.
    """

    def __init__(self, status: int, detail: Any) -> None:
        super().__init__(status, detail)
        self.status = status
        self.detail = detail


@dataclass(eq=False)
class _Request:
    """A request that waits for its answer."""

    body: Any
    answer: asyncio.Future[Any]
    is_repeated: bool = False


@dataclass(eq=False)
class _Server:
    """A server, from the moment at which it joins the rotation until its last answer."""

    url: str
    is_member: bool = True
    is_lost: bool = False
    sent_at: float = 0.0
    under_way: int = 0
    watch: asyncio.Task[None] | None = field(default=None, repr=False)


class _Lost(Exception):
    """A server is ending."""


class ServerRotation:
    """Sends requests to the servers of a load balancer.

    Args:
        path: Path of the requests at the servers.
        max_batch_size: How many requests one server gets at the same time.
        timeout_batching: Seconds after the last batch for which an incomplete batch waits.
        timeout: Seconds that a server may take for an answer.
        is_batched: Whether a server gets `{"inputs": [...]}` and returns `{"outputs": [...]}`. If not, each
            request is sent alone.
        changed: Called with the servers that are in use, when these have changed.
    """

    def __init__(
        self,
        path: str,
        *,
        max_batch_size: int,
        timeout_batching: float,
        timeout: float,
        is_batched: bool,
        changed: Callable[[list[str]], None],
    ) -> None:
        self._path = path
        self._batch_size = max_batch_size
        self._timeout_batching = timeout_batching if is_batched else 0.0
        self._timeout = timeout
        self._is_batched = is_batched
        self._changed = changed
        self._loop = asyncio.get_running_loop()
        # Not the proxy of the environment: the servers are on this machine.
        limits = httpx.Limits(max_connections=None, keepalive_expiry=_KEEP_ALIVE)
        self._client = httpx.AsyncClient(timeout=None, trust_env=False, limits=limits)
        self._servers: dict[str, _Server] = {}
        self._leaving: set[_Server] = set()  # out of the rotation, but not done with their last requests
        self._waiting: deque[_Request] = deque()
        self._unanswered: set[_Request] = set()  # those that wait, and those that a server has
        self._sent_at = float("-inf")
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_use: list[str] = []
        self._is_ending = False

    @property
    def ready_servers(self) -> list[str]:
        """The servers that get requests."""
        return [server.url for server in self._servers.values() if not server.is_lost]

    @property
    def capacity(self) -> int:
        """How many requests the servers can take at the same time."""
        return len(self.ready_servers) * self._batch_size

    @property
    def num_unanswered(self) -> int:
        """How many requests wait, or are under way."""
        return len(self._unanswered)

    def set_servers(self, urls: list[str]) -> None:
        """Replace the servers of the rotation; one that is left out answers the requests that it has.

        Args:
            urls: Their addresses, in the order in which `ready_servers` lists them.
        """
        for url in self._servers.keys() - set(urls):
            server = self._servers.pop(url)
            server.is_member = False
            if server.watch is not None:
                server.watch.cancel()
            if server.under_way:
                self._leaving.add(server)
        leaving = {server.url: server for server in self._leaving}
        self._servers = {
            url: self._servers.get(url) or self._join(leaving.get(url) or _Server(url)) for url in urls
        }
        self._publish()
        self._send_batches()

    def _join(self, server: _Server) -> _Server:
        """Return a member of the rotation; one that was taken out still has its requests under way."""
        self._leaving.discard(server)
        server.is_member, server.is_lost, server.watch = True, False, None
        return server

    async def ask(self, body: Any) -> Any:
        """Return the answer of a server.

        Args:
            body: The request, as JSON.

        Raises:
            Unanswered: No server is ready, it has refused the request, or there was no answer in time.
        """
        if self._is_ending:
            raise Unanswered(_UNAVAILABLE, ENDING)
        request = _Request(body, self._loop.create_future())
        self._unanswered.add(request)
        self._waiting.append(request)
        self._send_batches()
        try:
            async with asyncio.timeout(self._timeout):
                return await request.answer
        except TimeoutError:
            raise self._too_late() from None
        finally:
            self._unanswered.discard(request)

    def end(self) -> None:
        """Refuse all requests from now on, and those that have no answer yet."""
        self._is_ending = True
        for request in self._unanswered:
            _refuse(request, Unanswered(_UNAVAILABLE, ENDING))
        for task in self._tasks:
            task.cancel()

    async def close(self) -> None:
        """End, and close all connections."""
        self.end()
        if self._timer is not None:
            self._timer.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._client.aclose()

    # Batches.

    def _send_batches(self) -> None:
        """Send the requests that are due to free servers, and come back when an incomplete batch is due."""
        while self._waiting and self._waiting[0].answer.done():
            self._waiting.popleft()  # its client has waited too long
        if not self.ready_servers:
            while self._waiting:
                _refuse(self._waiting.popleft(), Unanswered(_UNAVAILABLE, NO_SERVER))
        while self._waiting:
            server = self._free_server()
            if server is None:
                return  # the end of a batch calls this again
            wait = self._sent_at + self._timeout_batching - self._loop.time()
            is_due = len(self._waiting) >= self._batch_size or self._waiting[0].is_repeated
            if not is_due and wait > 0:
                self._call_later(wait)
                return
            if batch := self._take_batch():
                self._sent_at = server.sent_at = self._loop.time()
                server.under_way += len(batch)
                self._start(self._send(server, batch))

    def _take_batch(self) -> list[_Request]:
        size = self._batch_size if self._is_batched else 1
        batch: list[_Request] = []
        while self._waiting and len(batch) < size:
            if self._waiting[0].is_repeated and batch:
                break
            request = self._waiting.popleft()
            if request.answer.done():
                continue
            batch.append(request)
            if request.is_repeated:
                break  # alone: if it has ended its first server, the next one must not fail the others, too
        return batch

    def _free_server(self) -> _Server | None:
        limit = 1 if self._is_batched else self._batch_size
        free = [each for each in self._servers.values() if not each.is_lost and each.under_way < limit]
        return min(free, key=lambda server: (server.under_way, server.sent_at), default=None)

    def _call_later(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(seconds, self._send_batches)

    # One batch.

    async def _send(self, server: _Server, batch: list[_Request]) -> None:
        """Send a batch, and give each of its requests an answer or an error."""
        try:
            await self._exchange(server, batch)
        except (_Lost, httpx.TransportError) as error:
            reason = str(error) or type(error).__name__
            self._lose(server, reason)
            self._repeat(batch, reason)
        except TimeoutError:
            self._lose(server, f"it has not answered in {self._timeout:g} s")
            for request in batch:
                _refuse(request, self._too_late())
        except Exception as error:  # noqa: BLE001 - the clients get it, and the log the traceback
            _log.exception("the load balancer could not ask the server at %s", server.url)
            for request in batch:
                _refuse(request, Unanswered(_BAD_GATEWAY, f"the server could not be asked: {error}"))
        finally:
            server.under_way -= len(batch)
            if not server.under_way:
                self._leaving.discard(server)
            self._publish()
            if not self._is_ending:
                self._send_batches()

    async def _exchange(self, server: _Server, batch: list[_Request]) -> None:
        answer = await self._post(server, batch)
        try:
            outputs = self._read_outputs(answer, len(batch))
        except Unanswered as error:
            if len(batch) == 1:
                _refuse(batch[0], error)
                return
            # One request may be the reason for all: each one gets its own answer.
            for request in batch:
                if not request.answer.done():
                    await self._exchange(server, [request])
            return
        for request, output in zip(batch, outputs, strict=True):
            if not request.answer.done():
                request.answer.set_result(output)

    def _read_outputs(self, answer: httpx.Response, number: int) -> list[Any]:
        """Return the answers for the requests of a batch.

        Raises:
            Unanswered: The server has refused the batch, or its answer can't be understood.
        """
        if not answer.is_success:
            raise Unanswered(answer.status_code if answer.is_error else _BAD_GATEWAY, _detail(answer))
        try:
            outputs = answer.json()
        except ValueError as error:
            raise Unanswered(_BAD_GATEWAY, f"the answer of the server is not JSON: {error}") from None
        if not self._is_batched:
            return [outputs]
        outputs = outputs.get("outputs") if isinstance(outputs, dict) else None
        if not isinstance(outputs, list) or len(outputs) != number:
            found = f"has {len(outputs)}" if isinstance(outputs, list) else "is not a list"
            raise Unanswered(
                _BAD_GATEWAY,
                f"`outputs` of the server must have one item for each input, {number} in all; it {found}",
            )
        return outputs

    async def _post(self, server: _Server, batch: list[_Request]) -> httpx.Response:
        bodies = [request.body for request in batch]
        content = {"inputs": bodies} if self._is_batched else bodies[0]
        async with asyncio.timeout(self._timeout):
            try:
                answer = await self._post_once(server, content)
            except (httpx.ReadError, httpx.WriteError, httpx.RemoteProtocolError):
                # A server may close a connection at the moment in which it is used again: uvicorn does after
                # an exception. A server that has died refuses the second connection.
                answer = await self._post_once(server, content)
        if answer.status_code == _UNAVAILABLE:
            raise _Lost(str(_detail(answer)))
        return answer

    async def _post_once(self, server: _Server, content: Any) -> httpx.Response:
        return await self._client.post(server.url + self._path, json=content)

    def _repeat(self, batch: list[_Request], reason: str) -> None:
        """Let others answer the requests of a lost server; a request that has lost two may be the cause."""
        for request in reversed(batch):
            if request.answer.done():
                continue
            if request.is_repeated:
                problem = f"two servers were lost while they had this request; the last one: {reason}"
                _refuse(request, Unanswered(_BAD_GATEWAY, problem))
            else:
                request.is_repeated = True
                self._waiting.appendleft(request)

    def _too_late(self) -> Unanswered:
        return Unanswered(_TIMEOUT, f"there was no answer in {self._timeout:g} s")

    # The servers.

    def _lose(self, server: _Server, reason: str) -> None:
        """Take a server out of the rotation until it answers again."""
        if server.is_lost or not server.is_member:
            return
        server.is_lost = True
        _log.warning("the server at %s gets no requests until it answers: %s", server.url, reason)
        if not self._is_ending:
            server.watch = self._start(self._watch(server))

    async def _watch(self, server: _Server) -> None:
        pause = _PROBE_PAUSE
        while server.is_member:
            await asyncio.sleep(pause)
            pause = min(2 * pause, _PROBE_LIMIT)
            if await self._is_answering(server):
                server.is_lost = False
                server.watch = None
                self._send_batches()
                return

    async def _is_answering(self, server: _Server) -> bool:
        try:
            answer = await self._client.get(server.url, timeout=_PROBE_LIMIT)
        except httpx.TransportError:
            return False
        return answer.status_code != _UNAVAILABLE

    def _publish(self) -> None:
        """Say which servers are in use: those in the rotation, and those with requests under way."""
        in_use = sorted({*self._servers, *(server.url for server in self._leaving)})
        if in_use != self._in_use:
            self._in_use = in_use
            self._changed(in_use)

    def _start(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _refuse(request: _Request, error: Unanswered) -> None:
    if not request.answer.done():
        request.answer.set_exception(error)


def _detail(answer: httpx.Response) -> Any:
    """Return the description of an error that a server has sent."""
    try:
        return answer.json()["detail"]
    except (ValueError, KeyError, TypeError):
        return answer.text or answer.reason_phrase
