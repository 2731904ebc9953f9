"""The requests that a `LoadBalancer` answers. Only its process imports this module."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Body, Depends, FastAPI, HTTPException
from fastapi.encoders import jsonable_encoder
from fastapi.responses import RedirectResponse
from fastapi.security import HTTPBasic, HTTPBasicCredentials
from pydantic import BaseModel

from lightning_lite.components.cold_start_proxy import ColdStartProxy
from lightning_lite.components.http_server import HttpServer
from lightning_lite.components.server_rotation import NO_SERVER, ServerRotation, Unanswered

_log = logging.getLogger("lightning_lite")

#: Name of the variable with the password of `/system/info`.
PASSWORD = "AUTO_SCALER_AUTH_PASSWORD"

#: Seconds between two reports of the number of requests: each is an event of the run and a pass of the flow.
_REPORT_INTERVAL = 0.25

_UNAVAILABLE = 503


class SystemInfo(BaseModel):
    """The load of a load balancer at this moment."""

    num_workers: int
    servers: list[str]
    num_requests: int
    processing_time: float
    global_request_count: int


class BalancerApi:
    """The routes of a load balancer, and the rotation of its servers.

    Args:
        make_rotation: Creates the rotation, in the event loop of the server; gets no arguments.
        wanted_servers: Returns the servers that the flow wants in the rotation.
        report: Called with the number of requests that have no answer yet, when that has changed.
        cold_start_proxy: Answers while no server is ready or all are busy, or `None`.
    """

    def __init__(
        self,
        make_rotation: Callable[[], ServerRotation],
        wanted_servers: Callable[[], list[str]],
        report: Callable[[int], None],
        cold_start_proxy: ColdStartProxy | None,
    ) -> None:
        self._make_rotation = make_rotation
        self._wanted_servers = wanted_servers
        self._proxy = cold_start_proxy
        self._load = _Load(report)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rotation: ServerRotation
        self._num_answered = 0
        self._processing_time = 0.0

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Keep the rotation while the server serves."""
        self._rotation = self._make_rotation()
        self._loop = asyncio.get_running_loop()
        self._take_servers()
        try:
            yield
        finally:
            self._loop = None
            self._load.close()
            await self._rotation.close()

    def servers_changed(self) -> None:
        """Read the wanted servers again; may be called in any thread."""
        self._call_in_loop(self._take_servers)

    def end(self) -> None:
        """Refuse the requests that wait; may be called in any thread."""
        self._call_in_loop(lambda: self._rotation.end())

    def add_routes(self, server: HttpServer, endpoint: str, input_type: Any, output_type: Any) -> None:
        """Add the routes.

        Args:
            server: The server.
            endpoint: Path of the requests.
            input_type: Type of their body.
            output_type: Type of their answer.
        """

        async def balance_api(inputs: Any) -> Any:
            return await self._counted(inputs)

        # Without `Body`, FastAPI would read a text or a number from the address.
        balance_api.__annotations__ = {"inputs": Annotated[input_type, Body()]}
        server.add_route(endpoint, balance_api, response_model=output_type)
        server.api.add_api_route("/num-requests", self._read_num_requests, methods=["GET"])
        server.api.add_api_route(
            "/system/info", self._read_system_info, methods=["GET"], dependencies=[Depends(_check_password)]
        )
        server.api.add_api_route("/", _redirect_to_docs, methods=["GET"], include_in_schema=False)

    def _call_in_loop(self, function: Callable[[], None]) -> None:
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(function)
            except RuntimeError:  # it has been closed since the line above
                pass

    def _take_servers(self) -> None:
        if self._loop is not None:
            self._rotation.set_servers(self._wanted_servers())

    async def _counted(self, inputs: Any) -> Any:
        began = time.monotonic()
        self._load.add(1)
        try:
            return await self._answer(inputs)
        finally:
            self._load.add(-1)
            self._num_answered += 1
            self._processing_time = time.monotonic() - began

    async def _answer(self, inputs: Any) -> Any:
        rotation = self._rotation
        if self._proxy is not None and rotation.num_unanswered >= rotation.capacity:
            return await self._ask_proxy(self._proxy, inputs)
        if not rotation.ready_servers:
            raise _as_answer(Unanswered(_UNAVAILABLE, NO_SERVER))
        try:
            return await rotation.ask(jsonable_encoder(inputs))
        except Unanswered as error:
            raise _as_answer(error) from error

    async def _ask_proxy(self, proxy: ColdStartProxy, inputs: Any) -> Any:
        try:
            return await proxy.handle_request(inputs)
        except HTTPException:
            raise
        except Exception as error:
            _log.exception("%s.handle_request has failed", type(proxy).__qualname__)
            raise HTTPException(502, f"Error in proxy: {type(error).__name__}") from error

    async def _read_num_requests(self) -> int:
        return self._load.now

    async def _read_system_info(self) -> SystemInfo:
        servers = self._rotation.ready_servers
        return SystemInfo(
            num_workers=len(servers),
            servers=servers,
            num_requests=self._load.now,
            processing_time=self._processing_time,
            global_request_count=self._num_answered + self._load.now,
        )


class _Load:
    """The number of requests under way, reported not too often.

    A report is the highest number since the last one, so that the flow sees a short peak, too.

    Args:
        report: Called with the number.
    """

    def __init__(self, report: Callable[[int], None]) -> None:
        self.now = 0
        self._report = report
        self._peak = 0
        self._reported = 0
        self._timer: asyncio.TimerHandle | None = None

    def add(self, change: int) -> None:
        """Register that requests have come or are answered."""
        self.now += change
        self._peak = max(self._peak, self.now)
        if self._timer is None:
            self._send()

    def close(self) -> None:
        """Report nothing any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _send(self) -> None:
        self._timer = None
        peak, self._peak = self._peak, self.now
        if peak != self._reported or peak != self.now:
            self._timer = asyncio.get_running_loop().call_later(_REPORT_INTERVAL, self._send)
        if peak != self._reported:
            self._reported = peak
            self._report(peak)


def _as_answer(error: Unanswered) -> HTTPException:
    headers = {"Retry-After": "1"} if error.status == _UNAVAILABLE else None
    return HTTPException(error.status, error.detail, headers)


async def _redirect_to_docs() -> RedirectResponse:
    return RedirectResponse("/docs")


_BASIC = HTTPBasic(auto_error=False)


def _check_password(credentials: Annotated[HTTPBasicCredentials | None, Depends(_BASIC)]) -> None:
    """Refuse a request without the password, if there is one."""
    password = os.environ.get(PASSWORD, "")
    given = credentials.password if credentials is not None else ""
    if not secrets.compare_digest(given.encode(), password.encode()):
        raise HTTPException(401, "the password is missing or wrong", {"WWW-Authenticate": "Basic"})
