"""Warns of attributes with big values that change often: each change sends and writes the whole value."""

from __future__ import annotations

from typing import Any

from lightning_lite.errors import LightningFlowWarning
from lightning_lite.quantity_text import format_bytes
from lightning_lite.tracebacks import warn_at
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.values.codec import decode

#: A value of at least this number of bytes is big: sending and writing it costs more than the step itself.
BIG = 16 * 1024

#: Bytes and number of the big values of one attribute at which the user is warned.
_MUCH = 64 * 1024 * 1024
_OFTEN = 20


class BigValueWarnings:
    """Counts the big values of the attributes of one run, and warns once for each attribute.

    Args:
        root: The root flow; a warning has the line of the `run` of the component that has the attribute.
    """

    def __init__(self, root: LightningFlow | None = None) -> None:
        self._root = root
        self._counts: dict[str, tuple[int, int]] = {}  # how many, and their bytes
        self._warned: set[str] = set()

    def count(self, attribute: str, encoded: bytes) -> None:
        """Count a new value of at least `BIG` bytes.

        Args:
            attribute: Full name of the attribute, such as `root.train.losses`.
            encoded: The encoded value.

        Warns:
            LightningFlowWarning: The attribute has changed so often that it costs much.
        """
        if attribute in self._warned:
            return
        size = len(encoded)
        times, total = self._counts.get(attribute, (0, 0))
        self._counts[attribute] = times, total = times + 1, total + size
        if total >= _MUCH and times >= _OFTEN:
            self._warned.add(attribute)
            # Not with the line of this call: it is in this package, and runs after the assignment.
            warn_at(
                self._run_of(attribute.rpartition(".")[0]),
                f"{attribute} has {format_bytes(size)} and has changed {times} times: {format_bytes(total)} "
                f"were sent and written, because {_reason(decode(encoded))}",
                LightningFlowWarning,
            )

    def _run_of(self, name: str) -> Any:
        """Return the method `run` of a component; `None` if it is no longer in the tree."""
        try:
            return None if self._root is None else self._root.get_component_by_name(name).run
        except AttributeError:
            return None


def _reason(value: Any) -> str:
    """Return why changes of a value cost much, and what to do."""
    advice = "write {} to a file and put that into a Drive."
    if isinstance(value, list | dict):
        return (
            "a change inside a list or dict costs all of it. Keep only the last items, give each item an "
            f"attribute or a work of its own, or {advice.format('the items')}"
        )
    kind = "text" if isinstance(value, str) else type(value).__name__
    return f"each change costs all of the {kind}. Keep only a part of it, or {advice.format('it')}"
