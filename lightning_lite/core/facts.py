"""What one turn of the loop changed, for the journal: plain data, in the order in which it happened."""

from __future__ import annotations

from collections.abc import Iterable
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
        gone: Names of the components that were taken out of the tree; all else is about what came after.
        asked: Packed arguments of new calls, for people who look later: work, key, number, arguments.
    """

    def __init__(self) -> None:
        self.notes: list[tuple[str, str, int, WorkStatus]] = []
        self.completed: list[tuple[str, str, Failure]] = []
        self.answered: list[tuple[str, str]] = []
        self.works: dict[str, tuple[str, str]] = {}
        self.writes: dict[str, tuple[Component, set[str]]] = {}
        self.gone: list[str] = []
        self.asked: list[tuple[str, str, int, bytes]] = []

    def __bool__(self) -> bool:
        return bool(self.notes or self.completed or self.answered or self.works or self.writes or self.gone)

    def leave(self, name: str) -> None:
        """Note that a component was taken out of the tree, with all below it."""
        self.notes = [note for note in self.notes if not is_below(note[0], name)]
        self.completed = [fact for fact in self.completed if not is_below(fact[0], name)]
        self.answered = [fact for fact in self.answered if not is_below(fact[0], name)]
        self.asked = [fact for fact in self.asked if not is_below(fact[0], name)]
        self.works = {work: value for work, value in self.works.items() if not is_below(work, name)}
        self.writes = {key: value for key, value in self.writes.items() if not is_below(key, name)}
        self.gone.append(name)

    def add(self, later: Facts) -> None:
        """Take the facts of what came after."""
        for name in later.gone:
            self.leave(name)
        self.notes += later.notes
        self.completed += later.completed
        self.answered += later.answered
        self.asked += later.asked
        self.works |= later.works
        for name, (component, attributes) in later.writes.items():
            self.write(component, name, attributes)

    def write(self, component: Component, name: str, attributes: Iterable[str]) -> None:
        """Note that the flow wrote attributes of the component called `name`."""
        self.writes.setdefault(name, (component, set()))[1].update(attributes)

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
        return self.gone, completed, self.answered, notes, self.works, written, self.asked


def is_below(name: str, top: str) -> bool:
    """Return whether a component is the one named `top`, or stands below it."""
    return f"{name}.".startswith(f"{top}.")
