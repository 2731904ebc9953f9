"""The description of the API in OpenAPI 3.1, made from the table of endpoints that serves it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from lightning_lite.distribution import __version__
from lightning_lite.web.endpoints import Endpoint
from lightning_lite.web.parameters import Parameter
from lightning_lite.web.schemas import SCHEMAS, ref

#: Status codes of refusals, and when they come.
_REFUSALS = {
    "400": "A parameter is unknown, missing or invalid.",
    "401": "The token is missing or wrong.",
    "403": "The request is of another site, or the server is read-only.",
    "404": "There is no such run, work, call, drive or file.",
    "409": "It can't be done now; the sentence says why.",
    "421": "The header Host has another name.",
    "503": "The app can't be reached: it has ended, or takes no commands.",
    "504": "The app does not answer in time.",
}


def describe_api(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Return the description of endpoints, an OpenAPI document."""
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "lightning_lite",
            "version": __version__,
            "description": "Runs of apps: their works and calls, their logs, state and drives. "
            "Times are seconds since 1970, durations seconds, sizes bytes.",
        },
        "security": [{"token": []}],
        "paths": paths,
        "components": {
            "schemas": SCHEMAS,
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    parts = re.findall(r"\{(\w+)\}", endpoint.path)
    found: dict[str, Any] = {
        "operationId": endpoint.function.__name__,
        "summary": endpoint.about,
        "parameters": [
            {"name": part, "in": "path", "required": True, "schema": {"type": "string"}} for part in parts
        ],
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {endpoint.media_type: {"schema": ref(endpoint.schema)}},
            },
            **{status: _refusal(about) for status, about in _REFUSALS.items()},
        },
    }
    if endpoint.method == "GET":
        found["parameters"] += map(_query_parameter, endpoint.parameters)
        found["responses"]["304"] = {"description": "Nothing has changed since the answer in If-None-Match."}
    else:
        found["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _body(endpoint.parameters)}},
        }
        found["responses"]["413"] = _refusal("The body is too long.")
        found["responses"]["415"] = _refusal("The body has another type than application/json.")
    return found


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema = parameter.schema()
    if parameter.most > 1:
        schema = {"type": "array", "items": schema, "maxItems": parameter.most}
    elif parameter.kind == "flag":
        schema = {**schema, "type": "integer", "enum": [0, 1], "default": int(bool(parameter.default))}
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.about,
        "required": parameter.required,
        "schema": schema,
    }


def _body(parameters: Iterable[Parameter]) -> dict[str, Any]:
    parameters = list(parameters)
    return {
        "type": "object",
        "properties": {each.name: {**each.schema(), "description": each.about} for each in parameters},
        "required": [each.name for each in parameters if each.required],
        "additionalProperties": False,
    }


def _refusal(about: str) -> dict[str, Any]:
    return {"description": about, "content": {"application/json": {"schema": ref("Error")}}}
