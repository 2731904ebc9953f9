"""Answers as JSON, with a tag: if nothing has changed since the last answer, the next one has no body."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

import xxhash
from starlette.responses import Response

from lightning_lite.values.json_form import json_number

_MEDIA_TYPE = "application/json"


class Tagged(NamedTuple):
    """An answer with a tag that is known before the answer is made.

    Attributes:
        tag: A text that differs if the answer does.
        make: Returns the answer, plain data.
    """

    tag: str
    make: Callable[[], Any]


def to_json(value: Any) -> bytes:
    """Return plain data as JSON; numbers that JSON does not have become texts.

    Example:
        >>> to_json({"loss": [float("nan"), 1.5]})
        b'{"loss":["nan",1.5]}'
    """
    try:
        text = _encode(value)
    except ValueError:
        text = _encode(_without_odd_numbers(value))
    return text.encode("ascii")


def answer(value: Any, known: str) -> Response:
    """Return a response with plain data, or with a `Tagged`.

    Args:
        value: The data.
        known: The header `If-None-Match` of the request, or "".
    """
    if isinstance(value, Response):
        return value
    if isinstance(value, Tagged):
        tag = f'W/"{xxhash.xxh3_128_hexdigest(value.tag.encode("utf-8", "surrogatepass"))}"'
        if _matches(tag, known):
            return _unchanged(tag)
        return Response(to_json(value.make()), media_type=_MEDIA_TYPE, headers={"ETag": tag})
    body = to_json(value)
    tag = f'W/"{xxhash.xxh3_128_hexdigest(body)}"'
    if _matches(tag, known):
        return _unchanged(tag)
    return Response(body, media_type=_MEDIA_TYPE, headers={"ETag": tag})


def error_answer(status: int, reason: str, headers: dict[str, str] | None = None) -> Response:
    """Return the response for a request that is refused."""
    return Response(to_json({"error": reason}), status, headers, _MEDIA_TYPE)


def _encode(value: Any) -> str:
    # ASCII, because a lone surrogate has no other encoding.
    return json.dumps(value, allow_nan=False, separators=(",", ":"))


def _without_odd_numbers(value: Any) -> Any:
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, dict):
        return {key: _without_odd_numbers(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_odd_numbers(item) for item in value]
    return value


def _matches(tag: str, known: str) -> bool:
    return tag in (each.strip() for each in known.split(","))


def _unchanged(tag: str) -> Response:
    return Response(status_code=304, headers={"ETag": tag})
