"""Hands requests for the routes of an app to that app, over the command channel of its run.

The app is the one that the server was started for. The guard has checked the request before, and the headers
of security are added to the answer as to any other.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from functools import partial

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from lightning_lite.api import is_reserved
from lightning_lite.errors import CommandError
from lightning_lite.runners.command_channel import ask
from lightning_lite.web.answers import error_answer
from lightning_lite.web.refusals import Refused, unanswered
from lightning_lite.web.server_context import ServerContext
from lightning_lite.web.threads import in_thread

#: The methods that routes of apps can have.
METHODS = ("GET", "POST", "PUT", "DELETE")

#: Seconds to wait for a turn, and for an app; it answers within 30, unless it is suspended.
_TIME_LIMIT = 40.0

#: Headers that are not handed on, in lower case: the token is for this server only, and the others describe
#: the connection to it.
_OWN_HEADERS = frozenset(
    {"authorization", "connection", "cookie", "keep-alive", "te", "transfer-encoding", "upgrade"}
)


class _AppRoute(Route):
    """Matches all addresses but the page's."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Return whether a request is for an app."""
        return (Match.NONE, {}) if is_reserved(scope["path"]) else super().matches(scope)


def make_app_route(server_context: ServerContext) -> Route:
    """Return the route for all addresses that the page does not have.

    Args:
        server_context: The data that all endpoints share.
    """

    async def serve(request: Request) -> Response:
        server_context.num_unsent += 1
        try:
            response = await answer(request)
        except BaseException:
            server_context.num_unsent -= 1
            raise
        response.background = BackgroundTask(count_sent)
        return response

    async def count_sent() -> None:
        server_context.num_unsent -= 1

    async def answer(request: Request) -> Response:
        try:
            if server_context.read_only and request.method != "GET":
                raise Refused(403, "This server is read-only: it was started with --read-only.")
            path, query = request.scope["path"], request.url.query
            headers = [(name, text) for name, text in request.headers.items() if name not in _OWN_HEADERS]
            body = b64encode(await request.body()).decode()
            forward = partial(
                _forward,
                server_context,
                method=request.method,
                path=path,
                query=query,
                headers=headers,
                body=body,
            )
            async with server_context.turn(_TIME_LIMIT):
                return await in_thread(forward)
        except Refused as refused:
            return error_answer(refused.status, refused.reason)

    return _AppRoute("/{path:path}", serve, methods=METHODS)


def _forward(server_context: ServerContext, *, method: str, path: str, **parts: object) -> Response:
    """Let the app answer a request.

    Raises:
        Refused: The app has no such route, or does not answer.
    """
    nothing = Refused(404, f"There is nothing at {path[:200]}.")
    if server_context.run is None:
        raise nothing
    run = server_context.find_run(server_context.run)
    if run.state != "running":
        raise Refused(503, f"The app of run {run.id} has ended: its state is {run.state}.")
    try:
        answer = ask(run.path, "http", _TIME_LIMIT, method=method, path=path, **parts)
    except CommandError as error:
        raise unanswered(error) from error
    body = b64decode(answer["body"])
    if answer["status"] == 404 and not body:
        raise nothing
    response = Response(body, answer["status"])
    for name, text in answer["headers"]:
        if name not in _OWN_HEADERS and name != "content-length":
            response.headers.append(name, text)
    return response
