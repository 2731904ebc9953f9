"""The REST API of Lightning App: state, components and status of the app, and changes of its state.

    GET  /api/v1/state, spec, status   from the journal, so that no answer waits for the flow
    POST /api/v1/delta                 an event of the run, between two passes or while one waits
    GET  /healthz                      whether the app runs

It is about the app that the server was started for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from time import monotonic
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from lightning_lite.engine.history import RunHistory
from lightning_lite.errors import CommandError
from lightning_lite.monitor.state_snapshot import read_components, read_state, read_statuses
from lightning_lite.runners.command_channel import ask
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.web.answers import error_answer, to_json
from lightning_lite.web.refusals import Refused
from lightning_lite.web.site import Site
from lightning_lite.web.threads import in_thread

#: What clients of Lightning App send with each request, as it was there.
SESSION_HEADERS = ("X-Lightning-Session-UUID", "X-Lightning-Session-ID")

#: Seconds for which a first request reads a long journal.
_READ_LIMIT = 20.0

#: Seconds to wait for the app; it answers within 30, unless it is suspended.
_ANSWER_LIMIT = 40.0


def make_state_routes(site: Site) -> list[Route]:
    """Return the routes.

    Args:
        site: What all endpoints share.
    """

    def read(look: Callable[[RunSummary, RunHistory], Any]) -> Callable[[Request], Any]:
        def answer() -> Response:
            run = app_run(site)
            return Response(to_json(_look(site, run, look)), media_type="application/json")

        async def serve(request: Request) -> Response:
            return await _refusing(request, answer)

        return serve

    def show_state(run: RunSummary, history: RunHistory) -> dict[str, Any]:
        return {**read_state(history), "app_state": {"stage": run.state}}

    def show_status(run: RunSummary, history: RunHistory) -> dict[str, Any]:
        return {"is_ui_ready": run.state == "running", "work_statuses": read_statuses(history)}

    async def change(request: Request) -> Response:
        return await _refusing(request, partial(_change, site, await request.body()))

    async def tell_health(_: Request) -> Response:
        is_running = site.run is not None and site.find_run(site.run).state == "running"
        return Response(
            to_json({"status": "ok" if is_running else "failure"}),
            200 if is_running else 500,
            media_type="application/json",
        )

    return [
        Route("/api/v1/state", read(show_state), methods=["GET"]),
        Route("/api/v1/spec", read(lambda _, history: read_components(history)), methods=["GET"]),
        Route("/api/v1/status", read(show_status), methods=["GET"]),
        Route("/api/v1/delta", change, methods=["POST"]),
        Route("/healthz", tell_health, methods=["GET"]),
    ]


def app_run(site: Site) -> RunSummary:
    """Return the run of the app that the server was started for.

    Raises:
        Refused: It was started for all runs of a root.
    """
    if site.run is None:
        raise Refused(404, "This server was started for all runs of a root, and not for an app.")
    return site.find_run(site.run)


async def _refusing(request: Request, answer: Callable[[], Response]) -> Response:
    """Return the answer of a function that is called in a thread, or why the request is refused."""
    missing = [name for name in SESSION_HEADERS if name.lower() not in request.headers]
    try:
        if missing:
            raise Refused(400, f"The header {missing[0]} is missing; any text will do.")
        return await in_thread(answer)
    except Refused as refused:
        return error_answer(refused.status, refused.reason, refused.headers)


def _look(site: Site, run: RunSummary, look: Callable[[RunSummary, RunHistory], Any]) -> Any:
    """Return what is in the history of a run that was read up to now.

    Raises:
        Refused: The journal can't be read, or is so long that it takes more time.
    """
    follower = site.followers.follow(run).follower
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
        return look(run, follower.history)


def _change(site: Site, body: bytes) -> Response:
    """Let the app make the changes in the body of a request.

    Raises:
        Refused: It has another form, the app refuses the changes, or it does not answer.
    """
    if site.read_only:
        raise Refused(403, "This server is read-only: it was started with --read-only.")
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise Refused(400, "The body is not JSON.") from None
    if not isinstance(data, dict) or data.keys() != {"changes"}:
        raise Refused(422, "The body must be an object with the field changes, and no other.")
    run = app_run(site)
    if run.state != "running":
        raise Refused(503, f"The app of run {run.id} has ended: its state is {run.state}.")
    try:
        answer = ask(run.path, "delta", _ANSWER_LIMIT, changes=data["changes"])
    except CommandError as error:
        raise Refused(504 if error.is_late else 503, f"{error}.") from error
    if answer["status"] != HTTPStatus.OK:
        raise Refused(answer["status"], answer["error"])
    return Response(b"{}", media_type="application/json")
