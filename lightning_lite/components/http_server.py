"""`HttpServer`: uvicorn in a thread, while the thread of the call runs the user's code.

    thread of uvicorn                              thread of the call
    request ──▶ endpoint ──▶ call(predict, x) ───▶ predict(x)
            ◀── answer   ◀────────────────────────

So a stop, which raises an exception in the thread of the call, interrupts the user's code at once and never
the event loop, which would swallow the exception. uvicorn sets no signal handlers outside the main thread.

Only works that serve import this module: it needs the extra `lightning`.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException, Request

from lightning_lite.components.foreign_requests import HostCheck, check_json, check_site, loopback_names
from lightning_lite.components.server_port import listen
from lightning_lite.sockets import is_loopback

#: Seconds for which `async` requests under way are waited for at the end. A stop of a work gives it 5.
_GRACE = 2

#: Seconds for the thread to end after that.
_PATIENCE = 1

_ENDING = "the server is ending"


class HttpServer:
    """One server.

    Args:
        title: The title of its description.
        lifespan: Asynchronous context manager that gets the application and is entered while it serves.
        ending: Called when the server begins to end, in the thread of `serve`.
        keep_alive: Seconds after which an idle connection is closed.

    Attributes:
        api: The FastAPI application; add routes to it.
    """

    def __init__(
        self,
        title: str,
        *,
        lifespan: Callable[[FastAPI], AbstractAsyncContextManager[None]] | None = None,
        ending: Callable[[], None] | None = None,
        keep_alive: int = 5,
    ) -> None:
        self.api = FastAPI(title=title, lifespan=lifespan)
        self._ending = ending
        self._keep_alive = keep_alive
        self._jobs: SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = SimpleQueue()
        self._lock = Lock()
        self._is_over = False

    async def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """Call a function in the thread of `serve`, one call after the other.

        Args:
            function: The function.
            *args: Its arguments.

        Returns:
            The value of the function.

        Raises:
            HTTPException: With the status 503: the server ended before the function returned.
            Exception: The function raised it.
        """
        answer: Future[Any] = Future()
        with self._lock:
            if self._is_over:
                raise HTTPException(503, _ENDING)
            self._jobs.put((answer, lambda: function(*args)))
        return await asyncio.wrap_future(answer)

    def add_route(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        """Add a route for POST requests with JSON, as `FastAPI.post` does; pages of other sites are refused.

        Args:
            path: Path of the route.
            endpoint: The function that FastAPI calls.
            **options: Options of FastAPI.
        """
        dependencies = [*options.pop("dependencies", ()), Depends(check_site), Depends(check_json)]
        self.api.add_api_route(path, endpoint, methods=["POST"], dependencies=dependencies, **options)

    def add_json_route(self, path: str, read: Callable[[Any], Any], answer: Callable[[Any], Any]) -> None:
        """Add a route for POST requests with any JSON as their body, or with a text as the parameter `data`.

        Args:
            path: Path of the route.
            read: Gets the JSON or the text, and returns the data of the request; a `ValueError` is answered
                with 422.
            answer: Gets that data, and returns the answer, as JSON.
        """

        def read_and_answer(data: Any) -> Any:
            try:
                request = read(data)
            except ValueError as error:
                raise HTTPException(422, str(error)) from error
            return answer(request)

        async def endpoint(request: Request, data: str | None = None) -> Any:
            if data is not None:
                return await self.call(read_and_answer, data)
            try:
                body = await request.json()
            except ValueError as error:  # no JSON, or no UTF-8
                raise HTTPException(422, f"the body must be JSON: {error}") from error
            return await self.call(read_and_answer, body)

        self.add_route(path, endpoint)

    def serve(self, bound: socket.socket) -> None:
        """Serve until the thread is interrupted by an exception: a stop of the work, or Ctrl-C.

        Args:
            bound: Socket that is bound to address and port.

        Raises:
            RuntimeError: The server ended by itself; the output says why.
        """
        host = bound.getsockname()[0]
        if is_loopback(host):
            # Else a page of the web could reach the server by a name of its own that leads to this machine.
            self.api.add_middleware(HostCheck, names=loopback_names(host))
        config = uvicorn.Config(
            self.api,
            log_config=None,  # else it would change the loggers of the process
            access_log=False,
            ws="none",
            timeout_graceful_shutdown=_GRACE,
            timeout_keep_alive=self._keep_alive,
        )
        server = uvicorn.Server(config)
        listen(bound)
        thread = Thread(target=self._run, args=(server, bound), name="lightning-lite-server", daemon=True)
        thread.start()
        try:
            while (job := self._jobs.get()) is not None:
                _perform(*job)
        finally:
            self._refuse_jobs()
            if self._ending is not None:
                self._ending()
            server.should_exit = True
            thread.join(_GRACE + _PATIENCE)
        raise RuntimeError("The HTTP server has ended by itself; its output says why.")

    def _run(self, server: uvicorn.Server, bound: socket.socket) -> None:
        try:
            server.run(sockets=[bound])
        finally:
            self._jobs.put(None)

    def _refuse_jobs(self) -> None:
        with self._lock:
            self._is_over = True
        while not self._jobs.empty():
            job = self._jobs.get()
            if job is not None and job[0].set_running_or_notify_cancel():
                job[0].set_exception(HTTPException(503, _ENDING))


def _perform(answer: Future[Any], job: Callable[[], Any]) -> None:
    if not answer.set_running_or_notify_cancel():
        return  # the client has gone
    try:
        answer.set_result(job())
    except Exception as error:  # noqa: BLE001 - it is the answer
        answer.set_exception(error)
    except BaseException:
        if not answer.done():  # a stop may come while the result is being set
            answer.set_exception(HTTPException(503, _ENDING))
        raise
