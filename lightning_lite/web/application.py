"""The ASGI application: the guard, the files of the page, the API, downloads and previews."""

from __future__ import annotations

import logging
import mimetypes
import os
from collections.abc import Collection, Sequence

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.types import ASGIApp
from starlette.websockets import WebSocket

from lightning_lite.web import downloads
from lightning_lite.web.answers import error_answer
from lightning_lite.web.app_routes import make_app_route
from lightning_lite.web.endpoint_table import ENDPOINTS
from lightning_lite.web.endpoints import make_route, make_slots
from lightning_lite.web.guard import Guard
from lightning_lite.web.lightning_api import make_state_routes
from lightning_lite.web.page_frames import PageFrame, show_frame
from lightning_lite.web.refusals import Refused, refusal_of
from lightning_lite.web.server_context import ServerContext
from lightning_lite.web.tickets import TicketUsed

_log = logging.getLogger("lightning_lite")

_STATIC = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static")


def create_app(
    server_context: ServerContext, *, token: str, hosts: Collection[str], routes: Sequence[BaseRoute] = ()
) -> ASGIApp:
    """Return the application that a server runs.

    Args:
        server_context: The data that all endpoints share.
        token: The token that a request must have.
        hosts: The values of `Host` that are accepted, with the port.
        routes: More routes, behind the same guard.
    """
    page_files = _read_page_files()

    async def show_page(_: Request) -> Response:
        return page_files["index.html"]

    async def send_page_file(request: Request) -> Response:
        try:
            return page_files[request.path_params["name"]]
        except KeyError:
            raise HTTPException(404) from None

    async def send_download(request: Request) -> Response:
        try:
            download = server_context.tickets.take(request.path_params["ticket"])
            if not isinstance(download, downloads.Download):
                raise Refused(404, "This ticket is for a frame.")
            if (download.media_type is not None) != request.url.path.startswith("/preview/"):
                raise Refused(404, "This ticket is for another address.")
            return await downloads.send(download)
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                raise
            return error_answer(refused.status, refused.reason)

    async def send_frame(request: Request) -> Response:
        try:
            frame = server_context.tickets.take(request.path_params["ticket"])
            if not isinstance(frame, PageFrame):
                raise Refused(404, "This ticket is for a download.")
            return show_frame(frame)
        except (Refused, TicketUsed) as error:
            refused = refusal_of(error)
            assert refused is not None
            return error_answer(refused.status, refused.reason)

    async def refuse_socket(socket: WebSocket) -> None:
        path = socket.url.path[:200]
        await socket.send_denial_response(error_answer(404, f"There is no websocket at {path}."))

    slots = make_slots()
    app = Starlette(
        routes=[
            Route("/", show_page),
            Route("/static/{name:path}", send_page_file),
            Route("/download/{ticket}", send_download, methods=["GET"]),
            Route("/preview/{ticket}", send_download, methods=["GET"]),
            Route("/frame/{ticket}", send_frame, methods=["GET"]),
            *(make_route(each, server_context, slots) for each in ENDPOINTS),
            *routes,
            *make_state_routes(server_context),
            make_app_route(server_context),
            WebSocketRoute("/{path:path}", refuse_socket),  # last; Starlette would answer 403 without a body
        ],
        exception_handlers={HTTPException: _show_error, Exception: _show_error},
    )
    app.router.redirect_slashes = False  # an address has one form
    return Guard(app, token, hosts)


def _read_page_files() -> dict[str, Response]:
    """Return the answer for each file of the front end, by its path.

    They are 0.5 MB, and the browser asks for 30 of them at once. From memory, it has them in a third of the
    time that it takes to open each one in a thread.
    """
    answers = {}
    for folder, _, names in os.walk(_STATIC):
        for name in names:
            path = os.path.join(folder, name)
            with open(path, "rb") as file:
                content = file.read()
            media_type = mimetypes.guess_type(name)[0] or "text/plain"
            answers[os.path.relpath(path, _STATIC).replace(os.sep, "/")] = Response(
                content, media_type=media_type
            )
    return answers


async def _show_error(request: Request, error: Exception) -> Response:
    if not isinstance(error, HTTPException):
        _log.error("a defect of lightning_lite: %s", request.url.path, exc_info=error)
        return error_answer(500, f"A defect of lightning_lite: {type(error).__name__}: {error}.")
    reasons = {404: f"There is nothing at {request.url.path[:200]}.", 405: "That address has another method."}
    return error_answer(error.status_code, reasons.get(error.status_code, "The request is refused."))
