"""Collects what the flow asks for, and the events of a step, until the engine takes them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from lightning_lite.errors import FailApp, Pause, ScheduleError, StopApp
from lightning_lite.events import (
    AnswerUsed,
    CallAsked,
    CallStatusChanged,
    ComponentAttached,
    ComponentDetached,
    Event,
    StateReported,
    StateWritten,
    WorkEvent,
    WorkStatusChanged,
    is_below,
)
from lightning_lite.status import WorkStageStatus, WorkStatus
from lightning_lite.tree.calls import Call
from lightning_lite.tree.component import Component
from lightning_lite.tree.identity import class_identity

#: Bytes up to which the arguments of a call are kept for people who look at the run.
_MAX_SHOWN_ARGUMENTS = 1024


class CallRequested(NamedTuple):
    """The flow asked for a call that has no record yet."""

    work: Any
    call: Call


class StartRequested(NamedTuple):
    """The flow asked for the process of a work, without a call."""

    work: Any


class StopRequested(NamedTuple):
    """The flow asked to end the process of a work; `timeout` 0 means at once."""

    work: Any
    timeout: float


class RestartRequested(NamedTuple):
    """The flow asked for a fresh process of a work; a call that this cuts is run again."""

    work: Any
    timeout: float


class StacksRequested(NamedTuple):
    """The flow asked what the process of a work is doing."""

    work: Any


class ComponentRemoved(NamedTuple):
    """The flow took a component out of the tree, where it had this name."""

    component: Any
    name: str


#: What the flow can ask of a work.
WorkRequest = CallRequested | StartRequested | StopRequested | RestartRequested | StacksRequested

#: What the flow can ask of the engine.
FlowRequest = WorkRequest | ComponentRemoved


class Outbox:
    """Takes what happens in the tree on the main side; the engine empties it after each step.

    Attributes:
        asks: What the flow asked for, in order.
        events: What has happened in this step, in order.
        writes: What was written by the main side in this step: component and names of its attributes, by the
            name of the component.
        reasons: What changed, for the next pass and for people: `root.counter`.
        pause: The `Pause` that was raised in this pass, if any.
        ending: What `flow.stop()` or `flow.fail()` raised, if any.
        wall: The present time, seconds since 1970.
        explain: Takes each decision about a call, for the debug log: name of the work, call, whether it is
            new, its arguments. `None` without a debug log.
        wakes: When the flow has to run again by itself: seconds since 1970, by the reason.
    """

    def __init__(self) -> None:
        self.asks: list[FlowRequest] = []
        self.events: list[Event] = []
        self.writes: dict[str, tuple[Component, set[str]]] = {}
        self.reasons: dict[str, None] = {}
        self.pause: Pause | None = None
        self.ending: StopApp | FailApp | None = None
        self.wall = 0.0
        self.explain: Callable[[str, Call, bool, tuple[Any, ...], dict[str, Any]], None] | None = None
        self.wakes: dict[str, float] = {}
        self._used: set[str] = set()
        self._touched: dict[int, Component] = {}

    # The events of a step.

    def emit(self, work: Any, event: WorkEvent) -> None:
        """Let the record of a work take an event, and keep it for the journal.

        The journal keeps nothing of a work that was taken out of the tree: another one may have its name.
        """
        work._book.apply(event)
        if work._node.link is self:
            self.events.append(event)

    def note(self, work: Any, call: Call | None, status: WorkStatus) -> None:
        """Emit that something happened to a call, or to the process of the work."""
        name = work._node.name
        if call is None:
            self.emit(work, WorkStatusChanged(name, status.timestamp, status))
        else:
            self.emit(work, CallStatusChanged(name, call.key, status.timestamp, call.number, status))

    def report_state(self, work: Any, values: dict[str, bytes]) -> None:
        """Note that a work has new values; encoded, by attribute."""
        if work._node.link is self:
            self.events.append(StateReported(work._node.name, self.wall, values))

    def take_events(self) -> list[Event]:
        """Return the events of this step, with the values that the main side wrote last."""
        events, self.events = self.events, []
        if self.writes:
            for name, (component, attributes) in self.writes.items():
                values = {key: component._node.encode(component, key) for key in sorted(attributes)}
                events.append(StateWritten(name, self.wall, values))
            self.writes = {}
        return events

    def drop_events(self) -> None:
        """Forget the events of a pass that raised: for the journal that pass did not happen."""
        self.events = []
        self.writes = {}

    # What the tree reports.

    def begin_pass(self) -> None:
        """Forget what led to the pass that begins now."""
        self.reasons = {}
        self.pause = self.ending = None
        if self._used:
            self._used.clear()

    def use(self, what: str) -> None:
        """Note that a pass has come to a schedule or a loop.

        Raises:
            ScheduleError: It has come there before; two of the same name can't be told apart.
        """
        if what in self._used:
            raise ScheduleError(f"{what} stands twice in one flow; give each a name of its own: user_key=...")
        self._used.add(what)

    def write(self, component: Component, name: str, value: Any) -> None:
        """Store what the flow wrote; for a work it is a request that travels."""
        if component._node.store(component, name, value):
            self._note(component, name)
        if name in component._node.touched:
            self._touched[id(component)] = component

    def touch(self, component: Component) -> None:
        """Note that a container of the component was handed out."""
        self._touched[id(component)] = component

    def attached(self, component: Any) -> None:
        """Note that a component came into the tree, with the state that it has then."""
        if not isinstance(component, Component):
            return  # a list or dict of components has no state of its own
        node = component._node
        state = {name: node.encoded.get(name) or node.encode(component, name) for name in node.names}
        identity = class_identity(type(component))
        self.events.append(ComponentAttached(node.name, self.wall, component._travels, identity, state))

    def ask(self, ask: FlowRequest) -> None:
        """Take a request of the flow."""
        self.asks.append(ask)
        if isinstance(ask, ComponentRemoved):
            self.events.append(ComponentDetached(ask.name, self.wall))
            # A later component may have the name of one whose last write is not an event yet.
            self.writes = {
                name: written for name, written in self.writes.items() if not is_below(name, ask.name)
            }

    def ask_call(self, work: Any, key: str, arguments: bytes) -> Call:
        """Enter a call that has no record yet, and return its record.

        Args:
            work: The work.
            key: Key of the call.
            arguments: Pickled `(args, kwargs)`.
        """
        book, name = work._book, work._node.name
        shown = arguments if len(arguments) <= _MAX_SHOWN_ARGUMENTS else None
        self.emit(work, CallAsked(name, key, self.wall, book.num_calls + 1, shown))
        call: Call = book.current[key]
        call.arguments = arguments
        self.asks.append(CallRequested(work, call))
        if book.was_read:
            self.changed(f"{name}: {WorkStageStatus.PENDING}")
        return call

    def use_answer(self, work: Any, call: Call) -> None:
        """Note that the flow has used up the answer of a call that is not remembered."""
        self.emit(work, AnswerUsed(work.name, call.key, self.wall))
        self.changed(f"{work.name} has answered")

    def changed(self, reason: str) -> None:
        """Note that the flow has to run again, and why."""
        self.reasons[reason] = None

    def paused(self) -> Pause:
        """Return the `Pause` to raise, and remember that it was raised."""
        self.pause = Pause("a call has not ended yet")
        return self.pause

    def look(self) -> None:
        """Find what the pass changed inside lists and dicts.

        Raises:
            StateError: Something that is not plain data was put into one.
        """
        if not self._touched:
            return
        touched, self._touched = self._touched, {}
        for key, component in touched.items():
            node = component._node
            if node.link is not self:
                continue  # taken out of the tree in this pass
            for name in node.look(component):
                self._note(component, name)
            node.settle(component)
            if node.touched:
                self._touched[key] = component

    def _note(self, component: Component, name: str) -> None:
        self.reasons[f"{component.name}.{name}"] = None
        self.writes.setdefault(component.name, (component, set()))[1].add(name)
