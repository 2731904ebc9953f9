"""`Get`, `Post`, `Put` and `Delete`: the routes that `configure_api` of a flow returns.

class Root(LightningFlow):
    def configure_api(self):
        return [Post("/names", self.add_name), Get("/names", self.list_names)]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from lightning_lite.errors import ComponentDefinitionError

#: Begin the addresses of the page and of its own API, so that no route of an app can have them.
RESERVED = (
    "/api/activity",
    "/api/compare",
    "/api/drives",
    "/api/openapi.json",
    "/api/runs",
    "/api/server",
    "/api/tickets",
    "/api/v1/delta",
    "/api/v1/layout",
    "/api/v1/spec",
    "/api/v1/state",
    "/api/v1/status",
    "/api/v1/ws",
    "/command",
    "/download/",
    "/frame/",
    "/healthz",
    "/metrics",
    "/preview/",
    "/static/",
)


def is_reserved(path: str) -> bool:
    """Return whether an address belongs to the page or to its own API.

    Example:
        >>> is_reserved("/"), is_reserved("/api/runs"), is_reserved("/names")
        (True, True, False)
        >>> is_reserved("/metrics/today"), is_reserved("/metrics_of_today")
        (True, False)
    """
    return path == "/" or any(f"{path}/".startswith(f"{each.rstrip('/')}/") for each in RESERVED)


class Route:
    """One route of the API of an app; use `Get`, `Post`, `Put` or `Delete`.

    Args:
        route: Its address, `/names/{name}`; parts in braces are arguments.
        method: A method of a flow, which is called in the thread of the flow between passes or while one
            waits, and may change the state; or a function, also `async def`, which is called at once in a
            thread of its own. Its arguments and type hints have the meaning that they have in FastAPI.
        method_name: Name of the endpoint in the description of the API; by default the name of the method.
        timeout: Seconds that the flow has for its answer, 30 at most.
        **kwargs: More arguments of `FastAPI.get` and the like, such as `status_code` or `tags`.

    Raises:
        ComponentDefinitionError: The address or the method is none.

    Example:
        >>> Get("/names", sorted)
        Get('/names', sorted)
    """

    verb: ClassVar[str] = ""

    def __init__(
        self,
        route: str,
        method: Callable[..., Any],
        method_name: str | None = None,
        timeout: float = 30,
        **kwargs: Any,
    ) -> None:
        kind = type(self).__name__
        if not isinstance(route, str) or not route.startswith("/"):
            raise ComponentDefinitionError(f"{kind}({route!r}): the route must be a text that begins with /.")
        if not callable(method):
            raise ComponentDefinitionError(
                f"{kind}({route!r}, {method!r}): the second argument must be a method or a function."
            )
        if type(timeout) not in (int, float) or not 0 < timeout < float("inf"):
            raise ComponentDefinitionError(
                f"{kind}({route!r}, timeout={timeout!r}): the timeout must be a number of seconds, over 0."
            )
        self.route = route
        self.method = method
        self.method_name = method_name or str(getattr(method, "__name__", type(method).__name__))
        self.timeout = float(timeout)
        self.kwargs = kwargs

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.route!r}, {self.method_name})"


class Get(Route):
    """A route that is read with GET."""

    verb = "GET"


class Post(Route):
    """A route that is called with POST."""

    verb = "POST"


class Put(Route):
    """A route that is called with PUT."""

    verb = "PUT"


class Delete(Route):
    """A route that is called with DELETE."""

    verb = "DELETE"
