"""Checks with which servers refuse requests that a page of another site can send to this machine.

    Host             a foreign name that leads to this machine (DNS rebinding)
    Sec-Fetch-Site   a page of another site, as the browser says
    Origin           the same, of browsers that do not send Sec-Fetch-Site
    Content-Type     a body that is not declared as JSON: a page can send other kinds without asking first

Only works that serve import this module: it needs the extra `lightning`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from fastapi import HTTPException, Request
from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse

from lightning_lite.sockets import bracketed

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send


def loopback_names(host: str) -> set[str]:
    """Return the names of a server that only programs of this machine reach, as in an address.

    Args:
        host: The address at which it listens.

    Example:
        >>> sorted(loopback_names("127.0.0.5"))
        ['127.0.0.1', '127.0.0.5', '[::1]', 'localhost']
    """
    return {"127.0.0.1", "localhost", "[::1]", bracketed(host)}


class HostCheck:
    """ASGI middleware that refuses requests to other names.

    Starlette has one, too; before version 1, it knows no addresses of IPv6.

    Args:
        app: The application that answers the others.
        names: The names, without the port.
    """

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or refuse it."""
        if scope["type"] == "lifespan" or _name_in(Headers(scope=scope).get("host", "")) in self._names:
            await self._app(scope, receive, send)
        else:
            answer = PlainTextResponse("The server does not have that name (Host).", status_code=400)
            await answer(scope, receive, send)


def check_site(request: Request) -> None:
    """Refuse a request that a page of another site sends.

    Raises:
        HTTPException: With the status 403.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin")
    if site is not None:
        is_foreign = site not in ("same-origin", "none")
    else:
        host = request.headers.get("host", "")
        is_foreign = origin is not None and origin.lower().partition("://")[2] != host.lower()
    if is_foreign:
        raise HTTPException(403, "requests that a page of another site sends are refused")


def check_json(request: Request) -> None:
    """Refuse a body that is not declared as JSON.

    A page of the web can send other kinds, or none, to a server of this machine without asking for permission
    first. FastAPI refuses a body without a kind from 0.132 on only.

    Raises:
        HTTPException: With the status 415.
    """
    headers = request.headers
    if headers.get("content-length", "0") == "0" and "transfer-encoding" not in headers:
        return  # no body
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not (kind.startswith("application/") and kind.endswith("+json")):
        raise HTTPException(415, "the body must be JSON, with the header Content-Type: application/json")


def _name_in(host: str) -> str:
    """Return the name in a header `Host`, without the port."""
    name, colon, port = host.lower().rpartition(":")
    return name if colon and port.isdecimal() else host.lower()
