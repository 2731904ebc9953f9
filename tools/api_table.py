"""Print the reference of the API in Markdown, as it is in docs/api.md.

Usage: python tools/api_table.py
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator

from lightning_lite.web.endpoint_table import ENDPOINTS
from lightning_lite.web.parameters import Parameter


def lines() -> Iterator[str]:
    """Yield the lines of the reference: a heading, a sentence and the parameters of each endpoint."""
    for endpoint in ENDPOINTS:
        yield f"### {endpoint.method} {endpoint.path}"
        yield ""
        yield f"{endpoint.about} Schema: `{endpoint.schema}`."
        yield ""
        if endpoint.parameters:
            is_body = endpoint.method == "POST"
            where = "field of the body" if is_body else "parameter"
            yield f"| {where} | values | default | means |"
            yield "|---|---|---|---|"
            for parameter in endpoint.parameters:
                values, default = _values(parameter, is_body), _default(parameter, is_body)
                yield f"| `{parameter.name}` | {values} | {default} | {parameter.about} |"
            yield ""


def _values(parameter: Parameter, is_body: bool) -> str:
    if parameter.choices:
        return ", ".join(f"`{choice}`" for choice in parameter.choices)
    flag = "`false` or `true`" if is_body else "`0` or `1`"
    kinds = {"text": "a text", "whole": "a whole number", "number": "a number", "flag": flag}
    shown = kinds[parameter.kind]
    if parameter.kind in ("whole", "number") and parameter.least is not None:
        shown += f" from {parameter.least:g}"
        shown += f" to {parameter.highest:g}" if parameter.highest is not None else " on"
    return shown + (f", up to {parameter.most} times" if parameter.most > 1 else "")


def _default(parameter: Parameter, is_body: bool) -> str:
    if parameter.required:
        return "must be given"
    if parameter.default is None or parameter.default == "":
        return ""
    return f"`{json.dumps(parameter.default if is_body else _as_number(parameter.default))}`"


def _as_number(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()))
