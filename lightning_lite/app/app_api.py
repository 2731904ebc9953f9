"""The API of an app: its routes as an application of FastAPI, in the main process and without a socket.

    server of the page ── command channel ──▶ answer ──▶ FastAPI, in the thread of the API
                                                             │ a function: called there
                                                             └ a method of a flow: FlowRequests.ask

FastAPI checks arguments and describes the API; it is imported only for an app that has routes.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Coroutine, MutableMapping, Sequence
from contextlib import suppress
from functools import partial
from threading import Thread
from typing import TYPE_CHECKING, Any

from lightning_lite.api import Route
from lightning_lite.app.flow_requests import TIME_LIMIT, FlowRequests
from lightning_lite.app.reporting import print_notice
from lightning_lite.errors import AppEnding, ComponentDefinitionError, HandlerError, NoAnswer
from lightning_lite.tracebacks import format_user_frames
from lightning_lite.tree.component import Component

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response

#: The packages whose frames stand above the frames of a handler in its traceback.
_CALLERS = frozenset({"anyio", "asyncio", "fastapi", "starlette", __name__.partition(".")[0]})

#: Seconds that the requests under way have at the end.
_END_TIMEOUT = 1.0

#: Type of a request and its answer in the command channel: data that JSON can represent.
Message = dict[str, Any]


class AppApi:
    """The API of one app.

    Args:
        title: Name of the app, for the description of the API.
        routes: Its routes.
        requests: Takes the calls of methods of flows.

    Raises:
        ComponentDefinitionError: FastAPI refuses the arguments of a method; the message names the route.
    """

    def __init__(self, title: str, routes: Sequence[Route], requests: FlowRequests) -> None:
        # Half a second, for apps with routes only.
        from fastapi import FastAPI  # noqa: PLC0415

        self._requests = requests
        # Its pages load scripts of another host.
        self._app = FastAPI(title=title, docs_url=None, redoc_url=None)
        self._app.router.redirect_slashes = False
        self._app.add_exception_handler(NoAnswer, partial(_refuse, 504))
        self._app.add_exception_handler(AppEnding, partial(_refuse, 503))
        for route in routes:
            try:
                self._app.add_api_route(
                    route.route,
                    self._endpoint(route),
                    methods=[route.verb],
                    name=route.method_name,
                    **route.kwargs,
                )
            except Exception as error:
                raise ComponentDefinitionError(
                    f"configure_api: {route.verb} {route.route} leads to {route.method_name}, which FastAPI "
                    f"refuses: {error}"
                ) from error
        self._loop = asyncio.new_event_loop()
        self._thread = Thread(target=self._loop.run_forever, name="lightning-lite-api", daemon=True)
        self._thread.start()

    def answer(self, request: Message) -> Message:
        """Answer one request; callable from any thread but the thread of the API.

        Args:
            request: `method`, `path`, `query`, `headers` as pairs, and `body` in base64.

        Returns:
            `status`, `headers` as pairs, and `body` in base64.
        """
        return asyncio.run_coroutine_threadsafe(self._serve(request), self._loop).result()

    def close(self) -> None:
        """End the thread of the API; requests under way are cut."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_END_TIMEOUT)
        if self._thread.is_alive():  # a coroutine of the user does not give it back
            return
        pending = asyncio.all_tasks(self._loop)
        for task in pending:
            task.cancel()
        if pending:
            # With a limit: a function of the user continues in its thread, which can't be cut.
            self._loop.run_until_complete(asyncio.wait(pending, timeout=_END_TIMEOUT))
        self._loop.close()

    # In the thread of the API.

    async def _serve(self, request: Message) -> Message:
        """Let FastAPI answer one request."""
        body = b64decode(request["body"])
        headers = [
            (str(name).lower().encode("latin-1"), str(text).encode("latin-1"))
            for name, text in request["headers"]
        ]
        scope = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "http",
            "method": request["method"],
            "path": request["path"],
            "raw_path": request["path"].encode(),
            "query_string": request["query"].encode("latin-1"),
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": None,
        }
        answer: Message = {"status": 500, "headers": []}
        sent = bytearray()
        unread = [{"type": "http.request", "body": body, "more_body": False}]

        async def receive() -> MutableMapping[str, Any]:
            return unread.pop() if unread else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                answer["status"] = message["status"]
                answer["headers"] = [
                    (name.decode("latin-1"), text.decode("latin-1"))
                    for name, text in message.get("headers", ())
                ]
            else:
                sent.extend(message.get("body", b""))

        try:
            await self._app(scope, receive, send)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a handler of the user may raise anything
            _report(request, error)
            sent[:] = b'{"detail":"The handler has failed; the log of the app has the traceback."}'
            answer.update(status=500, headers=[("content-type", "application/json")])
        return {**answer, "body": b64encode(sent).decode()}

    def _endpoint(self, route: Route) -> Callable[..., Any]:
        """Return the function that FastAPI calls for a route."""
        method, name = route.method, route.method_name
        owner = getattr(method, "__self__", None)
        if not isinstance(owner, Component):
            return method

        async def endpoint(**arguments: Any) -> Any:
            from starlette.requests import Request  # noqa: PLC0415 - as FastAPI in `__init__`

            for argument in arguments.values():
                if isinstance(argument, Request):
                    body = await argument.body()  # kept there, so that the method need not wait for it
                    _give_at_once(argument, body)
            return await self._ask(partial(_call, method, arguments), min(route.timeout, TIME_LIMIT))

        endpoint.__name__ = name
        endpoint.__doc__ = inspect.getdoc(method) or ""
        endpoint.__signature__ = _signature_of(method)  # type: ignore[attr-defined] # FastAPI reads it
        return endpoint

    async def _ask(self, handler: Callable[[], Any], timeout: float) -> Any:
        """Let the thread of the flow call a function; see `FlowRequests.ask`."""
        is_answered = asyncio.Event()

        def tell() -> None:
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(is_answered.set)

        request = self._requests.submit(handler, tell)
        with suppress(TimeoutError):
            await asyncio.wait_for(is_answered.wait(), timeout)
        return request.end(timeout)


def _give_at_once(request: Request, body: bytes) -> None:
    """Let a method that can't await call `request.json()` and `request.body()`, as in Lightning App."""
    vars(request).update(body=lambda: body, json=lambda: json.loads(body))


def _give_awaited(request: Request) -> None:
    """Let a coroutine await them, as is usual: undo `_give_at_once`."""
    for name in ("body", "json"):
        vars(request).pop(name, None)


def _signature_of(method: Callable[..., Any]) -> inspect.Signature:
    """Return the signature of a method, with type hints that are no texts if their names are known."""
    try:
        return inspect.signature(method, eval_str=True)
    except NameError:
        return inspect.signature(method)


def _call(method: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """Call a method of a flow, in the thread of the flow, and return its value as plain data.

    The value is converted here, because the next pass may change it.

    Raises:
        HandlerError: It is a coroutine that waits for something.
        Exception: The method has raised it.
    """
    from fastapi.encoders import jsonable_encoder  # noqa: PLC0415 - as FastAPI in `AppApi`
    from starlette.requests import Request  # noqa: PLC0415
    from starlette.responses import Response  # noqa: PLC0415

    value = method(**arguments)
    if inspect.iscoroutine(value):  # a plain method may return the coroutine of another
        for argument in arguments.values():
            if isinstance(argument, Request):
                _give_awaited(argument)
        value = _finish(value, method)
    return value if isinstance(value, Response) else jsonable_encoder(value)


def _finish(coroutine: Coroutine[Any, Any, Any], method: Callable[..., Any]) -> Any:
    """Run a coroutine that waits for nothing, and return its value."""
    advice = (
        f"{getattr(method, '__qualname__', method)} waits in `await`, and the flow would wait with it. "
        "Only await the body of a request there; make a function outside the flow for work that takes time."
    )
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    except RuntimeError as error:  # asyncio finds no loop
        error.add_note(advice)
        raise
    coroutine.close()
    raise HandlerError(advice)


def _refuse(status: int, _: Request, error: Exception) -> Response:
    from starlette.responses import JSONResponse  # noqa: PLC0415 - as FastAPI in `AppApi`

    return JSONResponse({"detail": str(error)}, status)


def _report(request: Message, error: BaseException) -> None:
    """Write the traceback of a handler to standard error, which the log of the flow has."""
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").partition(".")[0] in _CALLERS:
        trace = trace.tb_next
    text = format_user_frames(error.with_traceback(trace or error.__traceback__))
    print_notice(f"{request['method']} {request['path']} has failed:\n{text}".removesuffix("\n"))
