"""What one turn of the loop changed, for the journal: plain data, in the order in which it happened."""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.messages import Failure
from lightning_lite.status import StatusFields
from lightning_lite.tree.component import Component

if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

#: Bytes up to which the arguments of a call are written down, for people who look later.
_SHOWN_ARGUMENTS = 1024

#: A kind and what belongs to it, see `Facts`.
Event = tuple["Any", ...]


class Facts:
    """Collects what a turn changed; taken, and thereby emptied, when the turn is over.

    Attributes:
        events: What happened, in order:

            ("asked", work, key, number of the call, seconds since 1970, packed arguments or `None`)
            ("status", work, key, number of the call, fields)   key "" and number 0 for the process itself
            ("failed", work, key, failure)   a call has ended without ending the app
            ("answered", work, key)          the flow has used up the answer of a call
            ("entered", work, class)         a work came into the tree; module and name of its class
            ("left", name)                   a component was taken out of it; older events are about others
            ("wrote", name, values)          what the flow wrote; frozen, by attribute, at the end of the turn
        writes: What the flow wrote: the component and the names of its attributes, by name.
        failures: The calls that failed without ending the app: work, failure.
    """

    __slots__ = ("events", "failures", "writes")

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.writes: dict[str, tuple[Component, set[str]]] = {}
        self.failures: list[tuple[str, Failure]] = []

    def __bool__(self) -> bool:
        return bool(self.events or self.writes)

    def ask(self, work: str, key: str, number: int, wall: float, arguments: bytes) -> None:
        """Note a call that the flow has asked for."""
        shown = arguments if len(arguments) <= _SHOWN_ARGUMENTS else None
        self.events.append(("asked", work, key, number, wall, shown))

    def note(self, work: str, key: str, number: int, fields: StatusFields) -> None:
        """Note what happened to a call of a work, or to its process."""
        self.events.append(("status", work, key, number, fields))

    def fail(self, work: str, key: str, failure: Failure) -> None:
        """Note that a call has failed and the app goes on."""
        self.events.append(("failed", work, key, tuple(failure)))
        self.failures.append((work, failure))

    def answer(self, work: str, key: str) -> None:
        """Note that the flow has used up the answer of a call that is not remembered."""
        self.events.append(("answered", work, key))

    def enter(self, work: str, identity: tuple[str, str]) -> None:
        """Note that a work came into the tree."""
        self.events.append(("entered", work, identity))

    def leave(self, name: str) -> None:
        """Note that a component was taken out of the tree, with all below it."""
        self.events.append(("left", name))
        self._drop(name)

    def write(self, component: Component, name: str, attributes: Iterable[str]) -> None:
        """Note that the flow wrote attributes of the component called `name`."""
        self.writes.setdefault(name, (component, set()))[1].update(attributes)

    def add(self, later: Facts) -> None:
        """Take the facts of what came after."""
        if self.writes or self.failures:
            for kind, name, *_ in later.events:
                if kind == "left":
                    self._drop(name)
        self.events += later.events
        self.failures += later.failures
        for name, (component, attributes) in later.writes.items():
            self.write(component, name, attributes)

    def _drop(self, top: str) -> None:
        self.writes = {name: value for name, value in self.writes.items() if not is_below(name, top)}
        self.failures = [failure for failure in self.failures if not is_below(failure[0], top)]

    def to_data(self) -> list[Event]:
        """Return the events as plain data, with the values that the flow wrote."""
        if not self.writes:
            return self.events
        return self.events + [
            ("wrote", name, {key: component._node.encode(component, key) for key in sorted(attributes)})
            for name, (component, attributes) in self.writes.items()
        ]


def is_below(name: str, top: str) -> bool:
    """Return whether a component is the one named `top`, or stands below it."""
    return f"{name}.".startswith(f"{top}.")
