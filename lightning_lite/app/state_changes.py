"""Changes of the state of a running app from outside: each names an attribute, its old and its new value.

A program that has read the state may be late: the flow has continued. A change that says from which value it
starts can't undo that. All changes of one request are made, or none.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from lightning_lite.errors import StateConflict, StateError
from lightning_lite.tree.component import Component
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.values.codec import encode
from lightning_lite.values.json_form import are_equal, json_form

_FIELDS = {"component", "attribute", "old", "new"}


class StateChange(NamedTuple):
    """One change.

    Attributes:
        component: Full name of a flow or a work.
        attribute: Name of one of its attributes.
        old: The value that it has before, as JSON represents it.
        new: The value that it gets.
    """

    component: str
    attribute: str
    old: Any
    new: Any


def read_changes(data: object) -> list[StateChange]:
    """Return the changes in decoded JSON.

    Raises:
        StateError: They have another form; the message says which.

    Example:
        >>> read_changes([{"component": "root", "attribute": "rate", "old": 1, "new": 2}])
        [StateChange(component='root', attribute='rate', old=1, new=2)]
    """
    if not isinstance(data, list) or not data:
        raise StateError(f"changes must be a list of changes. Found {data!r:.100}")
    changes = []
    for position, each in enumerate(data):
        where = f"changes[{position}]"
        if not isinstance(each, dict) or each.keys() != _FIELDS:
            raise StateError(f"{where} must have component, attribute, old and new. Found {each!r:.100}")
        for field in ("component", "attribute"):
            if not isinstance(each[field], str):
                raise StateError(f"{where}.{field} must be a text. Found {each[field]!r:.100}")
        changes.append(StateChange(**each))
    return changes


def apply_changes(root: LightningFlow, changes: Sequence[StateChange]) -> None:
    """Make changes; called in the thread of the flow.

    Args:
        root: The root flow.
        changes: The changes, of different attributes.

    Raises:
        StateError: There is no such component or attribute, or it can't have that value. Nothing is changed.
        StateConflict: An attribute has another value by now. Nothing is changed.
    """
    checked: list[tuple[Component, str, Any]] = []
    for change in changes:
        component = _find(root, change)
        value = component._node.value(change.attribute)
        where = component._node.attribute_path(change.attribute)
        found = json_form(value, _refuse)
        if not are_equal(found, change.old):
            raise StateConflict(
                f"{where} is {found!r:.100} by now, and the change starts from {change.old!r:.100}. Read the "
                "state again."
            )
        new = tuple(change.new) if type(value) is tuple and isinstance(change.new, list) else change.new
        encode(new, where)
        checked.append((component, change.attribute, new))
    made: list[tuple[Component, str, Any]] = []
    for component, attribute, new in checked:
        made.append((component, attribute, component._node.value(attribute)))
        try:
            setattr(component, attribute, new)
        except Exception as error:  # of a `__setattr__` or a property of the user
            for changed, name, old in reversed(made):
                with suppress(Exception):
                    setattr(changed, name, old)
            raise StateError(
                f"{component._node.attribute_path(attribute)} refuses {new!r:.100}: {error}"
            ) from error


def _find(root: LightningFlow, change: StateChange) -> Component:
    """Return the component of a change.

    Raises:
        StateError: There is none, or it has no such attribute.
    """
    try:
        component = root.get_component_by_name(change.component)
    except (AttributeError, ValueError):
        component = None
    if not isinstance(component, Component):
        raise StateError(f"There is no flow or work {change.component!r:.100}.")
    if change.attribute[:1] == "_" or change.attribute not in component._node.names:
        declared = ", ".join(sorted(name for name in component._node.names if name[:1] != "_"))
        raise StateError(
            f"{change.component} has no attribute {change.attribute!r:.100} in its state; it has "
            f"{declared or 'none'}."
        )
    return component


def _refuse(value: Any) -> Any:
    raise StateError(
        f"A {type(value).__qualname__} can't be changed from outside, because JSON does not have it. Change "
        "an attribute with plain data."
    )
