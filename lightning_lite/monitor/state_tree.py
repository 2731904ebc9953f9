"""The state of a run: the attributes of all components as text, and when they changed.

Texts are made once for each value: as long as an attribute has the same encoded bytes, its text is kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from lightning_lite.engine.history import RunHistory
from lightning_lite.monitor.event_index import AttributeChange
from lightning_lite.monitor.run_status import tree_order
from lightning_lite.monitor.value_text import LONG, SHORT, Shown, describe
from lightning_lite.values.codec import decode_number
from lightning_lite.values.json_form import json_number

#: Values whose encoded bytes are more are only summarised in the tree; `StateTree.value` reads them.
_MAX_READ = 1024 * 1024

#: Attributes of one component that are shown.
_MAX_ATTRIBUTES = 2000


#: The last changes, by component and attribute.
Changes = Mapping[str, Mapping[str, AttributeChange]]


class _Text(NamedTuple):
    """The text of an encoded value, and the number that it is."""

    encoded: bytes
    shown: Shown
    number: float | None


class StateTree:
    """The state of one run.

    It must not be used by two threads at once, nor while another one changes the history.

    Args:
        history: The history, which may grow.

    Example:
        >>> StateTree(RunHistory()).tree({})
        {'components': []}
    """

    def __init__(self, history: RunHistory) -> None:
        self._history = history
        self._texts: dict[tuple[str, str], _Text] = {}

    def tree(self, changes: Changes) -> dict[str, Any]:
        """Return all components with their attributes, in the order of the tree, ready for JSON.

        Args:
            changes: The last changes of attributes, by component and attribute, as in `EventIndex.changes`.

        Returns:
            `components`, with `name`, `kind`, `class`, `attributes` (name, type, text of at most 200
            characters, size, number, changed, changes, is_long), and `attributes_left_out`, the number of
            attributes beyond the first 2,000.
        """
        texts, self._texts = self._texts, {}
        states = self._history.states
        components = [
            self._component(name, states[name], changes.get(name, {}), texts)
            for name in sorted(states, key=tree_order)
        ]
        return {"components": components}

    def value(self, component: str, attribute: str) -> dict[str, Any]:
        """Return one value as a text of at most 1 MiB, ready for JSON.

        Args:
            component: Name of the component.
            attribute: Name of the attribute.

        Returns:
            `text`, `type`, `size`, and `truncated`, whether the text is not the whole value.

        Raises:
            LookupError: The run has no such component or attribute.
        """
        state = self._history.states.get(component)
        if state is None:
            raise LookupError(f"the run has no component {component!r}")
        if attribute not in state:
            raise LookupError(f"{component} has no attribute {attribute!r}")
        return describe(state[attribute], LONG, is_long=True).to_dict()

    def _component(
        self,
        name: str,
        state: Mapping[str, bytes],
        changes: Mapping[str, AttributeChange],
        texts: Mapping[tuple[str, str], _Text],
    ) -> dict[str, Any]:
        work = self._history.works.get(name)
        identity = self._history.identities.get(name)
        public = [attribute for attribute in state if not attribute.startswith("_")]
        attributes: list[dict[str, Any]] = []
        for attribute in public[:_MAX_ATTRIBUTES]:
            encoded = state[attribute]
            known = texts.get((name, attribute))
            if known is None or known.encoded is not encoded:
                known = _read(encoded)
            self._texts[name, attribute] = known
            change = changes.get(attribute)
            attributes.append(
                {
                    "name": attribute,
                    "type": known.shown.type,
                    "text": known.shown.text,
                    "size": known.shown.size,
                    "number": None if known.number is None else json_number(known.number),
                    "changed": None if change is None else change.time,
                    "changes": 0 if change is None else change.count,
                    "is_long": known.shown.is_cut,
                }
            )
        return {
            "name": name,
            "kind": "flow" if work is None or work.is_detached else "work",
            "class": identity[1] if identity is not None else "",
            "attributes": attributes,
            "attributes_left_out": max(0, len(public) - _MAX_ATTRIBUTES),
        }


def _read(encoded: bytes) -> _Text:
    shown = describe(encoded, SHORT, max_read=_MAX_READ)
    # Only for numbers: `decode` would import modules for another value.
    number = decode_number(encoded) if shown.type in ("int", "float") else None
    return _Text(encoded, shown, number)
