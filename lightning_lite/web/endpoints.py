"""One endpoint of the API: its address, its parameters, and the function that answers it.

The function is called in a thread, with the values of the parameters by their names. It returns plain data,
and raises errors of this package or of the system; they become a status code and one sentence.
"""

from __future__ import annotations

import json
import logging
from asyncio import Semaphore
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_lite.web.answers import answer, error_answer
from lightning_lite.web.parameters import Parameter, read_fields, read_query
from lightning_lite.web.refusals import Refused, refusal_of
from lightning_lite.web.server_context import ServerContext
from lightning_lite.web.threads import in_thread

_log = logging.getLogger("lightning_lite")

#: Maximum number of answers that are made at the same time; more requests wait.
_MAX_ANSWERS = 32

#: Maximum number of actions at the same time. They wait for apps for many seconds, and delay no answers.
#: Together with `server_context.MAX_TURNS`, this is the number of peers of the command channel of an app.
_MAX_ACTIONS = 8


class Endpoint(NamedTuple):
    """One endpoint of the API.

    Attributes:
        method: `GET` or `POST`.
        path: Its path; a part in braces is an argument of the function.
        function: Answers it: it gets the state of the server, then the parts of the path and the
            parameters by name.
        about: Its answer or its effect, in one line.
        schema: Name of the schema of its answer.
        parameters: The parameters of its query, or of the JSON body of a POST.
        changes: Whether it changes something, so that a read-only server refuses it.
        media_type: Media type of its answer.
    """

    method: str
    path: str
    function: Callable[..., Any]
    about: str
    schema: str
    parameters: tuple[Parameter, ...] = ()
    changes: bool = False
    media_type: str = "application/json"


def make_route(endpoint: Endpoint, server_context: ServerContext, slots: Mapping[str, Semaphore]) -> Route:
    """Return the route of an endpoint.

    Args:
        endpoint: The endpoint.
        server_context: The data that all endpoints share, their first argument.
        slots: Of `make_slots`.
    """

    def respond(path: Mapping[str, str], given: Mapping[str, Any], known: str) -> Response:
        return answer(endpoint.function(server_context, **path, **given), known)

    async def serve(request: Request) -> Response:
        server_context.last_request = monotonic()
        try:
            if endpoint.changes and server_context.read_only:
                raise Refused(403, "This server is read-only: it was started with --read-only.")
            given = await _read(endpoint, request)
            async with slots["changes" if endpoint.changes else "reads"]:
                return await in_thread(
                    respond, request.path_params, given, request.headers.get("if-none-match", "")
                )
        except Exception as error:  # noqa: BLE001 - a defect must not end the connection without a sentence
            refused = refusal_of(error)
            if refused is None:
                _log.exception("a defect of lightning_lite: %s %s", endpoint.method, endpoint.path)
                refused = Refused(500, f"A defect of lightning_lite: {type(error).__name__}: {error}.")
            return error_answer(refused.status, refused.reason, refused.headers)

    return Route(endpoint.path, serve, methods=[endpoint.method], name=endpoint.function.__name__)


def make_slots() -> dict[str, Semaphore]:
    """Return the semaphores that limit the number of answers that are made at the same time."""
    return {"reads": Semaphore(_MAX_ANSWERS), "changes": Semaphore(_MAX_ACTIONS)}


async def _read(endpoint: Endpoint, request: Request) -> dict[str, Any]:
    """Return the values of the parameters of a request.

    Raises:
        Refused: One is invalid.
    """
    query = request.query_params.multi_items()
    if endpoint.method == "GET":
        return read_query(query, endpoint.parameters)
    read_query(query, ())  # parameters of a POST are in its body
    try:
        body = json.loads(await request.body() or b"{}")
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None
    return read_fields(body, endpoint.parameters)
