"""What one turn of the loop changed, for the journal: plain data, in the order in which it happened."""

from __future__ import annotations

from typing import Any

from lightning_lite.core.component import Component
from lightning_lite.core.status import WorkStatus
from lightning_lite.messages import Failure


class Facts:
    """Collects what a turn changed; taken, and thereby emptied, when the turn is over.

    Attributes:
        notes: What happened to calls: work, key, number of the call, status; key "" for the process itself.
        completed: Calls that ended as failed without ending the app: work, key, failure.
        answered: Calls whose answer the flow has used up: work, key.
        works: Module and name of the class of each work that came into the tree, by name.
        writes: What the flow wrote: the component and the names of its attributes, by name.
    """

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, int, WorkStatus]] = []
        self.completed: list[tuple[str, str, Failure]] = []
        self.answered: list[tuple[str, str]] = []
        self.works: dict[str, tuple[str, str]] = {}
        self.writes: dict[str, tuple[Component, set[str]]] = {}

    def __bool__(self) -> bool:
        return bool(self.notes or self.completed or self.answered or self.works or self.writes)

    def to_data(self) -> tuple[Any, ...]:
        """Return the facts as plain data, with the values that the flow wrote."""
        written = {
            name: {
                attribute: component._node.freeze(component, attribute) for attribute in sorted(attributes)
            }
            for name, (component, attributes) in self.writes.items()
        }
        notes = [(work, key, number, tuple(status)) for work, key, number, status in self.notes]
        completed = [(work, key, tuple(failure)) for work, key, failure in self.completed]
        return notes, completed, self.answered, self.works, written
