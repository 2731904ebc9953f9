"""Drives, paths and payloads in the arguments and the value of a call."""

from __future__ import annotations

from typing import Any, NamedTuple

from lightning_lite.runs.safe_unpickle import StandIn

#: Parts of one value that are looked at.
_MAX_PARTS = 10_000


class Link(NamedTuple):
    """A drive, path or payload in a value.

    Attributes:
        kind: `drive`, `path` or `payload`.
        name: Name of the drive, text of the path, or `work.attribute` of the payload.
        origin: The work that made it, or `None`.
    """

    kind: str
    name: str
    origin: str | None


def links_in(value: Any) -> list[Link]:
    """Return the drives, paths and payloads in a value, each once.

    Args:
        value: A value of `value_text.read_value`. Of a large one, only a part is looked at.

    Example:
        >>> links_in([1, {"a": "b"}])
        []
    """
    found: dict[Link, None] = {}
    waiting: list[Any] = [value]
    seen: set[int] = set()
    for _ in range(_MAX_PARTS):
        if not waiting:
            break
        part = waiting.pop()
        kind = type(part)
        if kind in (list, tuple, set, frozenset, dict) or isinstance(part, StandIn):
            if id(part) in seen:
                continue
            seen.add(id(part))
        if kind in (list, tuple, set, frozenset):
            waiting += list(part)[:_MAX_PARTS]
        elif kind is dict:
            waiting += list(part.values())[:_MAX_PARTS]
        elif isinstance(part, StandIn):
            link = _link(part)
            if link is not None:
                found[link] = None
            else:
                waiting += (*part.stand_in_args, part.stand_in_state, part.stand_in_items)
    return list(found)


def _link(found: StandIn) -> Link | None:
    module, args, state = found.stand_in_module, found.stand_in_args, found.stand_in_state
    if module == "lightning_lite.storage.path" and len(args) >= 3:
        return Link("path", str(args[1]), _text(args[2]))
    if module == "lightning_lite.storage.payload" and len(args) >= 3:
        return Link("payload", f"{args[2]}.{args[1]}", _text(args[2]))
    if module == "lightning_lite.storage.drive" and type(state) is dict and type(state.get("_name")) is str:
        return Link("drive", state["_name"], None)
    return None


def _text(value: Any) -> str | None:
    return value if type(value) is str else None
