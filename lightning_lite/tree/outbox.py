"""What a pass of the flow leaves behind: what it asked for, and what it changed."""

from __future__ import annotations

from lightning_lite.errors import FailApp, Pause, ScheduleError, StopApp
from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple
from lightning_lite.messages import Failure
from lightning_lite.status import StatusFields, WorkStageStatus, pending_since
from lightning_lite.tree.calls import Call
from lightning_lite.tree.component import Component
from lightning_lite.tree.facts import Facts

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


class CallAsked(NamedTuple):
    """The flow asked for a call that was never asked before."""

    work: Any
    call: Call


class StartAsked(NamedTuple):
    """The flow asked for the process of a work, without a call."""

    work: Any


class StopAsked(NamedTuple):
    """The flow asked to end the process of a work; `timeout` 0 means at once."""

    work: Any
    timeout: float


class RestartAsked(NamedTuple):
    """The flow asked for a fresh process of a work; a call that this cuts is run again."""

    work: Any
    timeout: float


class StacksAsked(NamedTuple):
    """The flow asked what the process of a work is doing."""

    work: Any


class Detached(NamedTuple):
    """The flow took a component out of the tree, where it had this name."""

    component: Any
    name: str


Ask = CallAsked | StartAsked | StopAsked | RestartAsked | StacksAsked | Detached


class Outbox:
    """Takes what happens in the tree while the flow runs; the machine empties it after each pass.

    Attributes:
        asks: What the flow asked for, in order.
        facts: What this turn has changed so far; the flow's writes in it have to be sent to the works.
        reasons: What changed, for the next pass and for people: `root.counter`.
        pause: The `Pause` that was raised in this pass, if any.
        ending: What `flow.stop()` or `flow.fail()` raised, if any.
        wall: The present time, seconds since 1970.
        explain: Takes each decision about a call, for people who ask why it ran or did not: name of the work,
            call, whether it is new, its arguments. `None` if nobody asks.
        wakes: When the flow has to run again by itself: seconds since 1970, by what for.
    """

    def __init__(self) -> None:
        self.asks: list[Ask] = []
        self.facts = Facts()
        self.reasons: dict[str, None] = {}
        self.pause: Pause | None = None
        self.ending: StopApp | FailApp | None = None
        self.wall = 0.0
        self.explain: Callable[[str, Call, bool, tuple[Any, ...], dict[str, Any]], None] | None = None
        self.wakes: dict[str, float] = {}
        self._used: set[str] = set()
        self._touched: dict[int, Component] = {}

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

    def ask(self, ask: Ask) -> None:
        """Take a request of the flow."""
        self.asks.append(ask)
        if isinstance(ask, Detached):
            self.facts.leave(ask.name)

    def ask_call(self, work: Any, call: Call) -> None:
        """Take a call that the flow has never asked for before."""
        book, name = work._book, work._node.name
        book.note(call, pending_since(self.wall))
        self.facts.ask(name, call.key, call.number, self.wall, call.arguments)
        self.asks.append(CallAsked(work, call))
        if book.was_read:
            self.changed(f"{name}: {WorkStageStatus.PENDING}")

    def note(self, work: Any, call: Call | None, fields: StatusFields) -> None:
        """Enter what happened to a call, or to the work's process, in the work's book."""
        work._book.note(call, fields)
        node = work._node
        if node.link is not self:
            return  # taken out of the tree meanwhile, where names mean nothing
        if call is None:
            self.facts.note(node.name, "", 0, fields)
        else:
            self.facts.note(node.name, call.key, call.number, fields)

    def completed(self, work: Any, call: Call, failure: Failure) -> None:
        """Note that a call has failed, and that the flow goes on."""
        if work._node.link is self:
            self.facts.fail(work.name, call.key, failure)

    def answered(self, work: Any, call: Call) -> None:
        """Note that the flow has used up the answer of a call that is not remembered."""
        call.answered = True
        self.facts.answer(work.name, call.key)
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
        self.facts.write(component, component.name, [name])
