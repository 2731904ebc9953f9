"""The JSON API: the table of all its endpoints. Each answers with data that modules of `monitor` read.

Times are seconds since 1970, durations seconds, sizes bytes. Names and paths stand in the query, because they
may have any characters; only ids of runs and drives are parts of an address.
"""

from __future__ import annotations

from typing import Any

from lightning_lite.web import actions, drive_api, log_api, metrics_api, run_api, server_api
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.openapi import describe_api
from lightning_lite.web.server_context import ServerContext


def show_description(_: ServerContext) -> dict[str, Any]:
    """Return the description of the API."""
    return describe_api(ENDPOINTS)


#: All endpoints of the API.
ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "GET",
        "/api/openapi.json",
        show_description,
        "This description of the API, in OpenAPI 3.1.",
        "Description",
    ),
    *server_api.ENDPOINTS,
    *run_api.ENDPOINTS,
    *log_api.ENDPOINTS,
    *drive_api.ENDPOINTS,
    *metrics_api.ENDPOINTS,
    *actions.ENDPOINTS,
)
