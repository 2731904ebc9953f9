"""The guard: refuses requests before routing, and adds the headers of security to each answer.

A page of another site that the same browser shows can send requests to 127.0.0.1, and another user of the
machine can connect to the port. The rules, in the order of the checks:

    Host             one of ours: a foreign name that leads to 127.0.0.1 (DNS rebinding) is refused
    Origin           ours, if it is sent
    Sec-Fetch-Site   not from another site, if it is sent; a link to the page itself may be
    method           GET, HEAD and POST; PUT and DELETE for the routes of apps
    path             without control characters
    token            for all that has data, as `Authorization: Bearer ...`; no cookie, because the cookies of
                     127.0.0.1 are sent to all of its ports
    body             of a POST: JSON, and not long; to a route of an app, anything of at most 1 MiB

A socket of the web is opened by a GET, so the same rules are for it.
"""

from __future__ import annotations

import hmac
import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from starlette.datastructures import Headers, MutableHeaders

from lightning_lite.api import is_reserved
from lightning_lite.web.refusals import Refused

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: Maximum of bytes of the body of a request.
BODY_LIMIT = 64 * 1024

#: The same for the routes of apps.
APP_BODY_LIMIT = 1024 * 1024

#: The same for a whole state that a client sends back.
STATE_BODY_LIMIT = 8 * 1024 * 1024

#: The address to which it is sent.
_STATE = "/api/v1/state"

#: Begin the paths that have no data, or whose ticket is the permission. No route of an app can have them.
OPEN = ("/static/", "/download/", "/preview/", "/frame/")

#: Begins the paths of files of users, which are shown in a frame.
_PREVIEWS = "/preview/"

#: Begins the paths of documents around pages of flows. Each has a policy of its own, see `web/page_frames`.
_FRAMES = "/frame/"

_METHODS = ("GET", "HEAD", "POST")
_APP_METHODS = (*_METHODS, "PUT", "DELETE")

#: The policy for the page. `trusted-types 'none'` makes each assignment to `innerHTML` an error.
_PAGE_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "
    "connect-src 'self'; frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)

#: The policy for a file of a user. `sandbox` gives it an origin of its own, also if it is opened in a tab: it
#: can't read the token of the page, and no request of it passes the guard.
_PREVIEW_POLICY = (
    "sandbox allow-scripts; default-src 'unsafe-inline' data: blob:; form-action 'none'; base-uri 'none'; "
    "frame-ancestors 'self'"
)

#: The policy for an answer of a route of an app: it may do nothing, so it can't read the token of the page.
_APP_POLICY = "sandbox; default-src 'none'; frame-ancestors 'none'"

_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin-allow-popups",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware that stands before all routes.

    Args:
        app: The application that answers the requests that are not refused.
        token: The token that a request must have.
        hosts: The values of `Host` that are accepted, with the port.
    """

    def __init__(self, app: ASGIApp, token: str, hosts: Collection[str]) -> None:
        self._app = app
        self._token = token.encode("ascii")
        self._hosts = frozenset(host.lower() for host in hosts)
        self._origins = frozenset(f"http://{host}" for host in self._hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        elif scope["type"] != "http":
            # There is no such thing here, and one without a guard must not be added by mistake.
            await receive()
            await send({"type": "websocket.close", "code": 1008})
        else:
            await self._answer(scope, receive, _with_headers(scope["path"], send))

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a client connect to a socket of the web, or refuse it with an answer of HTTP."""
        send = _without_length(send)
        try:
            self._check({**scope, "method": "GET"})
        except Refused as refused:
            await receive()  # the request to connect
            await _send_error(
                {**scope, "method": "GET"}, _as_denial(_with_headers(scope["path"], send)), refused
            )
            return
        await self._app(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            self._check(scope)
            if scope["method"] not in ("GET", "HEAD"):
                receive = _replay(await _read_body(receive, _body_limit(scope["path"])))
        except Refused as refused:
            await _send_error(scope, send, refused)
            return
        await self._app(scope, receive, send)

    def _check(self, scope: Scope) -> None:
        """Check all but the body.

        Raises:
            Refused: A rule is not met.
        """
        headers, method, path = Headers(scope=scope), scope["method"], scope["path"]
        names = [name.lower() for name in headers.getlist("host")]
        if len(names) != 1 or names[0] not in self._hosts:
            raise Refused(421, "This server does not have that name: use the address that it has printed.")
        if any(origin.lower() not in self._origins for origin in headers.getlist("origin")):
            raise Refused(403, "Requests of other sites are refused (Origin).")
        sites = headers.getlist("sec-fetch-site")
        if any(site not in ("same-origin", "none") for site in sites) and not _opens_page(scope, headers):
            raise Refused(403, "Requests of other sites are refused (Sec-Fetch-Site).")
        is_ours = is_reserved(path)
        if method not in (_METHODS if is_ours else _APP_METHODS):
            allowed = ("GET", "POST") if is_ours else ("GET", "POST", "PUT", "DELETE")
            raise Refused(
                405,
                f"There is no method {method!r} here, only {', '.join(allowed[:-1])} and {allowed[-1]}.",
                Allow=", ".join(allowed),
            )
        if not path.isprintable():
            raise Refused(400, f"Invalid path {path[:100]!r}: it has a character that can't be printed.")
        if path == "/" or path.startswith(OPEN):
            if method == "POST":
                raise Refused(405, "Only GET is possible here.", Allow="GET")
            return
        if not self._has_token(headers):
            raise Refused(
                401,
                "The token is missing or wrong: open the address that the server has printed, with its "
                "#token=...; a new start has a new token.",
                **{"WWW-Authenticate": "Bearer"},
            )
        # A route of an app may take a form; the token proves that no other site has sent it.
        if is_ours and method == "POST" and _media_type(headers) != "application/json":
            raise Refused(415, "The body of a POST must have the Content-Type application/json.")

    def _has_token(self, headers: Headers) -> bool:
        given = headers.getlist("authorization")
        if len(given) != 1:
            return False
        scheme, _, token = given[0].partition(" ")
        # Headers may have any bytes; `compare_digest` takes the same time for each wrong token.
        is_right = hmac.compare_digest(token.strip().encode("latin-1"), self._token)
        return is_right and scheme.lower() == "bearer"


def _opens_page(scope: Scope, headers: Headers) -> bool:
    """Return whether a browser opens the page itself, by a link of another site or of a file.

    The page has no data, and reads none without the token, so it is opened as for a typed address. In a frame
    it would be refused: its `Sec-Fetch-Dest` is not `document`.
    """
    return (
        scope["path"] == "/"
        and scope["method"] in ("GET", "HEAD")
        and headers.getlist("sec-fetch-mode") == ["navigate"]
        and headers.getlist("sec-fetch-dest") == ["document"]
    )


def _body_limit(path: str) -> int:
    if not is_reserved(path):
        return APP_BODY_LIMIT
    return STATE_BODY_LIMIT if path == _STATE else BODY_LIMIT


def _as_denial(send: Send) -> Send:
    """Return a `send` that sends an answer of HTTP to a client that wanted a websocket."""

    async def send_denial(message: Message) -> None:
        await send({**message, "type": message["type"].replace("http.", "websocket.http.", 1)})

    return send_denial


def _without_length(send: Send) -> Send:
    """Return `send` without a length in answers to a client that wanted a socket of the web.

    uvicorn adds the length; version 0.38 does so next to another one, and clients refuse both.
    """

    async def send_without_length(message: Message) -> None:
        if message["type"] == "websocket.http.response.start":
            headers = [each for each in message["headers"] if each[0].lower() != b"content-length"]
            message = {**message, "headers": headers}
        await send(message)

    return send_without_length


def _media_type(headers: Headers) -> str:
    return ",".join(headers.getlist("content-type")).partition(";")[0].strip().lower()


async def _read_body(receive: Receive, limit: int) -> bytes:
    """Return the body of a request of at most `limit` bytes.

    Raises:
        Refused: It is too long, or the client has gone.
    """
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise Refused(400, "The request has ended within its body.")
        body += message.get("body", b"")
        if len(body) > limit:
            raise Refused(413, f"The body is longer than {limit} bytes.", Connection="close")
        if not message.get("more_body"):
            return bytes(body)


def _replay(body: bytes) -> Receive:
    """Return a `receive` that returns a body that was read already."""
    messages: list[Message] = [
        {"type": "http.disconnect"},
        {"type": "http.request", "body": body, "more_body": False},
    ]

    async def receive() -> Message:
        return messages.pop() if len(messages) > 1 else messages[0]

    return receive


def _with_headers(path: str, send: Send) -> Send:
    """Return `send` with the headers of security in each answer; they replace the headers of the routes.

    The document of a frame alone keeps the policy of its route, which knows the origin in it.
    """
    policy = _PREVIEW_POLICY if path.startswith(_PREVIEWS) else _PAGE_POLICY
    if not is_reserved(path):
        policy = _APP_POLICY

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            if not (path.startswith(_FRAMES) and "Content-Security-Policy" in headers):
                headers["Content-Security-Policy"] = policy
            headers.update(_HEADERS)
        await send(message)

    return send_with_headers


async def _send_error(scope: Scope, send: Send, refused: Refused) -> None:
    body = json.dumps({"error": refused.reason}).encode()
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body)), **refused.headers}
    start: dict[str, Any] = {
        "type": "http.response.start",
        "status": refused.status,
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()],
    }
    await send(start)
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})
