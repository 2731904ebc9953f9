"""`ColdStartProxy`: answers the requests of a load balancer while no server is ready."""

from __future__ import annotations

import inspect
from typing import Any

from lightning_lite.errors import ComponentDefinitionError
from lightning_lite.extras import check_installed


class ColdStartProxy:
    """Another service, which answers requests while the servers of an `AutoScaler` start or are all busy.

    By default, a request is sent to it with POST as it is. Override `handle_request` to answer in another
    way.

    Args:
        proxy_url: Address of the service.

    Attributes:
        proxy_url: As above.
        proxy_timeout: Seconds that it may take.

    Raises:
        ComponentDefinitionError: `handle_request` is no `async` method. It is a `TypeError`.
        ModuleNotFoundError: A package is not installed; the message names the extra that brings it.

    Example:
        >>> class Apology(ColdStartProxy):
        ...     async def handle_request(self, request):
        ...         return {"prediction": "no model is ready yet"}
        >>> Apology("").proxy_timeout
        50.0
    """

    def __init__(self, proxy_url: str) -> None:
        check_installed(type(self).__qualname__, "lightning", "httpx", "fastapi")
        if not inspect.iscoroutinefunction(self.handle_request):
            raise ComponentDefinitionError("handle_request must be an `async` function")
        self.proxy_url = proxy_url
        self.proxy_timeout = 50.0

    async def handle_request(self, request: Any) -> Any:
        """Return the answer to a request.

        Args:
            request: The body, as the `input_type` of the load balancer.

        Returns:
            The answer, as JSON.

        Raises:
            fastapi.HTTPException: The service can't be reached, or has refused the request.
        """
        # Only the process of the load balancer needs these, and an app that has no requests needs none.
        import httpx  # noqa: PLC0415
        from fastapi import HTTPException  # noqa: PLC0415
        from fastapi.encoders import jsonable_encoder  # noqa: PLC0415

        try:
            async with httpx.AsyncClient(timeout=self.proxy_timeout) as client:
                answer = await client.post(self.proxy_url, json=jsonable_encoder(request))
                answer.raise_for_status()
                return answer.json()
        except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
            raise HTTPException(502, f"Error in proxy: {error}") from error
