"""State, components and status of an app as its journal has them, so that no reader waits for the flow."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lightning_lite.engine.history import RunHistory
from lightning_lite.monitor.run_status import tree_order
from lightning_lite.monitor.value_text import LONG, read_value, write
from lightning_lite.runs.safe_unpickle import StandIn
from lightning_lite.tree.node import STATE_PARTS
from lightning_lite.values.json_form import json_form

#: The dicts of `collections` that a state may have: they are shown as dicts.
_DICTS = frozenset({"Counter", "OrderedDict", "defaultdict"})


def read_state(
    history: RunHistory, object_of: Callable[[StandIn], object | None] = lambda _: None
) -> dict[str, Any]:
    """Return the state of all components as nested dicts, ready for JSON.

    Args:
        history: The history of the run; no other thread may change it at the same time.
        object_of: Returns the object that stands in the state for one that is not plain data; `None` for a
            text.

    Returns:
        For the root `vars`, the values of its attributes, and `flows`, `works` and `structures`, which have
        the same for the components below it, by key.

    Example:
        >>> read_state(RunHistory())
        {'vars': {}, 'flows': {}, 'works': {}, 'structures': {}}
    """
    root = _branch("flows")
    for name in sorted(history.states, key=tree_order):
        part, path = root, "root"
        for key in name.split(".")[1:]:
            path = f"{path}.{key}"
            kind = _kind_of(history, path)
            part = part[kind].setdefault(key, _branch(kind))
        part["vars"] = {
            attribute: _read(encoded, object_of)
            for attribute, encoded in history.states[name].items()
            if attribute[:1] != "_"
        }
    return root


def read_components(history: RunHistory) -> list[dict[str, Any]]:
    """Return `name`, `kind` (`flow` or `work`), `module` and `class` of all components."""
    found = []
    for name in sorted(history.states, key=tree_order):
        module, qualname = history.identities.get(name, ("", ""))
        kind = _kind_of(history, name).removesuffix("s")
        found.append({"name": name, "kind": kind, "module": module, "class": qualname})
    return found


def read_statuses(history: RunHistory) -> dict[str, dict[str, Any]]:
    """Return `stage`, `time`, `reason` and `message` of each work in the tree, by name."""
    return {
        name: work.records.status._asdict()
        for name, work in sorted(history.works.items())
        if not work.is_detached
    }


def _branch(kind: str) -> dict[str, Any]:
    """Return an empty part of a state, of a component or structure of this kind."""
    if kind == "works":
        return {"vars": {}}
    below: dict[str, Any] = {kind: {} for kind in STATE_PARTS}
    return below if kind == "structures" else {"vars": {}, **below}


def _kind_of(history: RunHistory, name: str) -> str:
    if name not in history.states:
        return "structures"  # it has no state of its own
    work = history.works.get(name)
    return "flows" if work is None or work.is_detached else "works"


def _read(encoded: bytes, object_of: Callable[[StandIn], object | None]) -> Any:
    """Return an encoded value, without code of the user; other objects than plain data are texts."""

    def describe(value: Any) -> Any:
        if isinstance(value, StandIn):
            if value.stand_in_name in _DICTS:
                given = [part for part in value.stand_in_args if isinstance(part, dict)]  # of a `Counter`
                return json_form({**(given[0] if given else {}), **dict(value.stand_in_items)}, describe)
            found = object_of(value)
            if found is not None:
                return found
        return write(value, LONG)[0]

    try:
        return json_form(read_value(encoded), describe)
    except Exception as error:  # noqa: BLE001 - odd data fail in many ways; the text says so
        return f"not readable: {error}"
