"""The REST API of Lightning App: state, components and status of the app, and changes of its state.

    GET  /api/v1/state, spec, status   from the journal, so that no answer waits for the flow
    GET  /api/v1/layout                the layout of its flows
    POST /api/v1/delta                 an event of the run, between two passes or while one waits
    POST /api/v1/state                 the same, for the differences from the state that the client was given
    WS   /api/v1/ws                    says when the state has changed, see `state_feed`
    GET  /healthz                      whether the app runs

It is about the app that the server was started for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, nullcontext
from functools import partial
from http import HTTPStatus
from importlib.util import find_spec
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from lightning_lite.distribution import NAME
from lightning_lite.engine.history import RunHistory
from lightning_lite.errors import CommandError
from lightning_lite.monitor.layout_file import read_layout
from lightning_lite.monitor.state_snapshot import read_components, read_state, read_statuses
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.answers import error_answer, to_json
from lightning_lite.web.client_states import ClientStates, UnknownPart, differences
from lightning_lite.web.refusals import Refused, unanswered
from lightning_lite.web.server_context import ServerContext
from lightning_lite.web.state_feed import StateFeed, serve_changes
from lightning_lite.web.threads import in_thread

#: The headers that clients of Lightning App send with each request, as they were there.
SESSION_HEADERS = ("X-Lightning-Session-UUID", "X-Lightning-Session-ID")

#: The package with which uvicorn serves websockets.
SOCKET_PACKAGE = "websockets"

#: Seconds for which a first request reads a long journal.
_READ_LIMIT = 20.0

#: Seconds to wait for a turn, and for the app; it answers within 30, unless it is suspended.
_ANSWER_LIMIT = 40.0


def make_state_routes(server_context: ServerContext) -> list[BaseRoute]:
    """Return the routes.

    Args:
        server_context: The data that all endpoints share.
    """
    served, feed = ClientStates(), StateFeed(server_context)

    def read(choose: Callable[[RunSummary, RunHistory], Any]) -> Callable[[Request], Any]:
        async def serve(request: Request) -> Response:
            return await _refusing(
                request, lambda: _json(_read_history(server_context, app_run(server_context), choose))
            )

        return serve

    def show_status(run: RunSummary, history: RunHistory) -> dict[str, Any]:
        return {"is_ui_ready": run.state == "running", "work_statuses": read_statuses(history)}

    async def show_state(request: Request) -> Response:
        def answer() -> Response:
            state = _read_history(server_context, app_run(server_context), _state_of)
            served.keep(_client_of(request), state)
            return _json(state)

        return await _refusing(request, answer)

    async def show_layout(request: Request) -> Response:
        return await _refusing(request, lambda: _json(_tabs(read_layout(app_run(server_context))["root"])))

    async def change(request: Request) -> Response:
        answer = partial(_change, server_context, await request.body())
        return await _refusing(request, answer, server_context.turn(_ANSWER_LIMIT))

    async def take_state(request: Request) -> Response:
        answer = partial(_take_state, server_context, served, _client_of(request), await request.body())
        return await _refusing(request, answer, server_context.turn(_ANSWER_LIMIT))

    async def send_changes(socket: WebSocket) -> None:
        try:
            await in_thread(app_run, server_context)
            await serve_changes(feed, socket)
        except Refused as refused:
            await socket.send_denial_response(error_answer(refused.status, refused.reason, refused.headers))

    async def want_socket(_: Request) -> Response:
        if find_spec(SOCKET_PACKAGE) is None:
            install = f"pip install '{NAME}[lightning]'"
            return error_answer(
                501, f"This address needs {SOCKET_PACKAGE}, which is not installed: {install}."
            )
        return error_answer(426, "This address is for a websocket.", {"Upgrade": "websocket"})

    async def tell_health(_: Request) -> Response:
        is_running = (
            server_context.run is not None and server_context.find_run(server_context.run).state == "running"
        )
        return _json({"status": "ok" if is_running else "failure"}, 200 if is_running else 500)

    return [
        Route("/api/v1/state", show_state, methods=["GET"]),
        Route("/api/v1/state", take_state, methods=["POST"]),
        Route("/api/v1/layout", show_layout, methods=["GET"]),
        WebSocketRoute("/api/v1/ws", send_changes),
        Route("/api/v1/ws", want_socket, methods=["GET"]),
        Route("/api/v1/spec", read(lambda _, history: read_components(history)), methods=["GET"]),
        Route("/api/v1/status", read(show_status), methods=["GET"]),
        Route("/api/v1/delta", change, methods=["POST"]),
        Route("/healthz", tell_health, methods=["GET"]),
    ]


def app_run(server_context: ServerContext) -> RunSummary:
    """Return the run of the app that the server was started for.

    Raises:
        Refused: It was started for all runs of a root.
    """
    if server_context.run is None:
        raise Refused(404, "This server was started for all runs of a root, and not for an app.")
    return server_context.find_run(server_context.run)


async def _refusing(
    request: Request, answer: Callable[[], Response], turn: AbstractAsyncContextManager[None] | None = None
) -> Response:
    """Return the answer of a function that is called in a thread, or why the request is refused.

    Args:
        request: The request.
        answer: The function.
        turn: The turn of a request for the app: waits for it first, and holds it until the answer.
    """
    missing = [name for name in SESSION_HEADERS if name.lower() not in request.headers]
    try:
        if missing:
            raise Refused(400, f"The header {missing[0]} is missing; any text will do.")
        async with turn or nullcontext():
            return await in_thread(answer)
    except Refused as refused:
        return error_answer(refused.status, refused.reason, refused.headers)


def _read_history(
    server_context: ServerContext, run: RunSummary, choose: Callable[[RunSummary, RunHistory], Any]
) -> Any:
    """Return a part of the history of a run, which is read up to now.

    Raises:
        Refused: The journal can't be read, or is so long that it takes more time.
    """
    follower = server_context.readers.reader_of(run).follower
    due = monotonic() + _READ_LIMIT
    follower.follow()  # also if a page has used up its share of the time
    while not follower.is_complete and monotonic() < due:
        follower.follow()
    if follower.trouble:
        raise Refused(409, f"{follower.trouble}.")
    if not follower.is_complete:
        raise Refused(
            503, "The journal of the run is long, and is still being read: ask again.", **{"Retry-After": "5"}
        )
    with follower.lock:
        return choose(run, follower.history)


def _state_of(run: RunSummary, history: RunHistory) -> dict[str, Any]:
    return {**read_state(history), "app_state": {"stage": run.state}}


def _client_of(request: Request) -> str:
    """Return the id of a client: the headers of its session, which `_refusing` wants."""
    return "\n".join(request.headers.get(name, "") for name in SESSION_HEADERS)


def _tabs(tab: dict[str, Any] | None) -> list[dict[str, Any]]:
    """Return the tabs of a layout in the form of Lightning App, those in a tab as its `tabs`."""
    if tab is None:
        return []
    found = []
    for each in [tab] if tab["kind"] == "page" else tab["tabs"]:
        shown = {"name": each["name"], "content": each["url"] or each["component"], "target": each["url"]}
        found.append({**shown, "tabs": _tabs(each)} if each["kind"] == "tabs" else shown)
    return found


def _json(data: Any, status: int = 200) -> Response:
    return Response(to_json(data), status, media_type="application/json")


def _change(server_context: ServerContext, body: bytes) -> Response:
    """Let the app make the changes in the body of a request.

    Raises:
        Refused: It has another form, the app refuses the changes, or it does not answer.
    """
    data = _object_in(server_context, body)
    if data.keys() != {"changes"}:
        raise Refused(422, "The body must be an object with the field changes only.")
    _send(server_context, data["changes"])
    return _json({})


def _take_state(server_context: ServerContext, served: ClientStates, client: str, body: bytes) -> Response:
    """Let the app make the changes in a state that a client has sent back.

    Raises:
        Refused: As for `_change`, or no state was sent to the client.
    """
    data = _object_in(server_context, body)
    if data.keys() != {"state"}:
        raise Refused(
            422,
            "The body must be an object with the field state only. The stage can't be changed; end "
            "the app with `lightning-lite stop`.",
        )
    given = served.given_to(client)
    if given is None:
        raise Refused(
            409,
            "No state to compare with was sent to this session: read /api/v1/state first.",
        )
    try:
        changes = differences(given, data["state"])
    except UnknownPart as error:
        raise Refused(422, str(error)) from None
    if changes:
        _send(server_context, changes)
        served.apply(client, changes)
    return _json({})


def _object_in(server_context: ServerContext, body: bytes) -> dict[str, Any]:
    """Return the object in the body of a request that changes something.

    Raises:
        Refused: There is none, or the server changes nothing.
    """
    if server_context.read_only:
        raise Refused(403, "This server is read-only: it was started with --read-only.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None
    if not isinstance(data, dict):
        raise Refused(
            422, "The body must be an object with the field changes, for /api/v1/state with the field state."
        )
    return data


def _send(server_context: ServerContext, changes: Any) -> None:
    """Let the app make changes.

    Raises:
        Refused: The app refuses the changes, or does not answer.
    """
    run = app_run(server_context)
    if run.state != "running":
        raise Refused(503, f"The app of run {run.id} has ended: its state is {run.state}.")
    try:
        answer = ask(run.path, "delta", _ANSWER_LIMIT, changes=changes)
    except CommandError as error:
        raise unanswered(error) from error
    if answer["status"] != HTTPStatus.OK:
        raise Refused(answer["status"], answer["error"])
