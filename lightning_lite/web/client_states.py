"""The state that each client of `/api/v1/state` was given last, for comparison with the one it sends back.

A client of Lightning App changes the state by sending back all of it. Only a value that differs from the
one that the client was given is a change; the others would undo changes that the flow has made by now.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Any

from lightning_lite.tree.node import STATE_PARTS
from lightning_lite.values.json_form import are_equal

#: Maximum number of clients whose state is kept; then the state that was given least recently is removed.
MAX_CLIENTS = 32

Change = dict[str, Any]


class UnknownPart(ValueError):
    """A state has a component or an attribute that the state of the app does not have."""


class ClientStates:
    """The states of several clients; callable from any thread."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._states: OrderedDict[str, dict[str, Any]] = OrderedDict()

    def keep(self, client: str, state: dict[str, Any]) -> None:
        """Note the state that a client was given; nothing may change it.

        Args:
            client: Names the client.
            state: The state.
        """
        with self._lock:
            self._states[client] = state
            self._states.move_to_end(client)
            if len(self._states) > MAX_CLIENTS:
                self._states.popitem(last=False)

    def apply(self, client: str, changes: Sequence[Change]) -> None:
        """Note changes of a client that the app has made.

        They are made in the state that is kept now, which may be a newer one than that with which the client
        began: another request of it may have changed or read the state in between. So a change counts only
        where the value from which it starts is still there.

        Args:
            client: Names the client; nothing is noted if its state was removed.
            changes: The changes.
        """
        with self._lock:
            state = self._states.get(client)
            if state is not None:
                self._states[client] = changed(state, changes)

    def given_to(self, client: str) -> dict[str, Any] | None:
        """Return the state that a client was given last, or `None` if that is not known."""
        with self._lock:
            return self._states.get(client)


def differences(given: dict[str, Any], sent: Any) -> list[Change]:
    """Return the changes between two states; parts that the second one leaves out have not changed.

    Args:
        given: The state that the client was given.
        sent: The state that it sends back.

    Raises:
        UnknownPart: `sent` has another form, or something that `given` does not have.

    Example:
        >>> differences({"vars": {"a": 1, "b": 2}}, {"vars": {"a": 1, "b": 3}})
        [{'component': 'root', 'attribute': 'b', 'old': 2, 'new': 3}]
    """
    return list(_differences("root", given, sent))


def _differences(name: str, given: dict[str, Any], sent: Any) -> Iterator[Change]:
    known = {"vars", *STATE_PARTS} if name != "root" else {"vars", "app_state", *STATE_PARTS}
    if not isinstance(sent, dict) or not sent.keys() <= known:
        raise UnknownPart(f"{name} must be an object with {', '.join(sorted(known))}. Found {sent!r:.100}")
    if "app_state" in sent and not are_equal(sent["app_state"], given.get("app_state")):
        raise UnknownPart("app_state can't be changed; end the app with `lightning-lite stop`.")
    for kind in ("vars", *STATE_PARTS):
        part, known_part = sent.get(kind, {}), given.get(kind, {})
        if not isinstance(part, dict) or not part.keys() <= known_part.keys():
            raise UnknownPart(
                f"{kind} of {name} must be an object with names that the state has: "
                f"{', '.join(sorted(known_part)) or 'none'}. Found {part!r:.100}"
            )
        for key, value in part.items():
            if kind != "vars":
                yield from _differences(f"{name}.{key}", known_part[key], value)
            elif not are_equal(value, known_part[key]):
                yield {"component": name, "attribute": key, "old": known_part[key], "new": value}


def changed(state: dict[str, Any], changes: Sequence[Change]) -> dict[str, Any]:
    """Return a state after changes; the given one stays as it is.

    A change whose attribute is not there, or has another value than the one from which it starts, is left
    out.

    Example:
        >>> change = {"component": "root.a", "attribute": "b", "old": 1, "new": 2}
        >>> changed({"flows": {"a": {"vars": {"b": 1}}}}, [change])
        {'flows': {'a': {'vars': {'b': 2}}}}
    """
    for change in changes:
        state = _with_change(state, change["component"].split(".")[1:], change)
    return state


def _with_change(part: dict[str, Any], keys: list[str], change: Change) -> dict[str, Any]:
    if not keys:
        variables, attribute = part.get("vars", {}), change["attribute"]
        if attribute not in variables or not are_equal(variables[attribute], change["old"]):
            return part
        return {**part, "vars": {**variables, attribute: change["new"]}}
    for kind in STATE_PARTS:
        if keys[0] in part.get(kind, {}):
            below = _with_change(part[kind][keys[0]], keys[1:], change)
            return {**part, kind: {**part[kind], keys[0]: below}}
    return part
