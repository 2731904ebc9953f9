"""What a resumed app takes over from an earlier run: states, ended calls, and what was under way.

The tree is built afresh; each component takes what is here under its name when it enters the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from lightning_lite.engine.history import RunHistory
from lightning_lite.errors import JournalMismatch, PoisonCall
from lightning_lite.events import (
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    ComponentDetached,
    Event,
    RunBegun,
    is_below,
)
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.calls import Call, CallBook
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.identity import class_identity
from lightning_lite.tree.node import wait_for

_MAX_DEADLY = 3  # how often in a row the flow may die soon after it has sent the same call
_OF_THE_PROCESS = frozenset({"_url", "_port"})  # attributes about a process that is gone
_UNDER_WAY = frozenset({WorkStageStatus.PENDING, WorkStageStatus.RUNNING})


class Replay:
    """An earlier run, folded from its events.

    Args:
        run: Id of the run.
        events: The events of its journal, in order.

    Attributes:
        run: Id of the run.
        history: What has happened in it.
    """

    def __init__(self, run: str, events: Iterable[Event]) -> None:
        self.run = run
        self.history = RunHistory()
        self._under_way: set[tuple[str, str]] = set()
        self._deadly: dict[tuple[str, str], int] = {}
        for event in events:
            self._take(event)
        self._end_process()

    @property
    def num_completed(self) -> int:
        """How many calls are not run again."""
        return sum(call.ended for call in self._calls())

    @property
    def num_again(self) -> int:
        """How many calls were asked for and are run again if the flow asks again."""
        return sum(not call.ended for call in self._calls())

    def check_poison(self) -> None:
        """Refuse to send a call once more that the flow has probably died of.

        Raises:
            PoisonCall: The message says how to run it anyway.
        """
        for (work, key), times in self._deadly.items():
            if times >= _MAX_DEADLY:
                raise PoisonCall(
                    f"The flow died {times} times in a row within seconds after it had sent a call to {work} "
                    f"(key {key}), so run {self.run} is not resumed. To run the call anyway: "
                    f"app.run(resume={self.run!r}, retry_failed=True).",
                    work=work,
                    key=key,
                )

    def forget_failures(self) -> None:
        """Let calls that have failed run again."""
        for call in self._calls():
            call.ended = call.ended and call.failure is None

    def hand_over(self, root: LightningFlow) -> None:
        """Let each component take its past, now or when it enters the tree."""
        for name in self.history.works.keys() | self.history.written.keys():
            wait_for(root, name, partial(self._restore, name))

    # Folding the events.

    def _take(self, event: Event) -> None:
        """Fold an event, and take note of the calls that the flow may have died of."""
        if isinstance(event, RunBegun):
            self._end_process()
        self.history.apply(event)
        match event:
            case CallStatusChanged():
                if event.status.stage == WorkStageStatus.RUNNING:
                    self._under_way.add((event.component, event.key))
                elif event.status.stage not in _UNDER_WAY:
                    self._absolve(event.component, event.key)
            case CallSucceeded() | CallFailed() | CallSurvived():
                self._absolve(event.component, event.key)
            case ComponentDetached():
                for work, key in [*self._under_way, *self._deadly]:
                    if is_below(work, event.component):
                        self._absolve(work, key)

    def _end_process(self) -> None:
        """A process of the app has ended here: count it against the calls that it had just sent."""
        for sent in self._under_way:
            self._deadly[sent] = self._deadly.get(sent, 0) + 1
        self._under_way.clear()

    def _absolve(self, work: str, key: str) -> None:
        self._under_way.discard((work, key))
        self._deadly.pop((work, key), None)

    def _calls(self) -> Iterator[Call]:
        for work in self.history.works.values():
            yield from work.book.current.values()

    # Handing it over.

    def _restore(self, name: str, component: Any) -> None:
        work = self.history.works.get(name)
        identity = class_identity(type(component))
        if work is not None and work.identity is not None and work.identity != identity:
            found, asked = ".".join(work.identity), ".".join(identity)
            raise JournalMismatch(
                f"Run {self.run} has {name} as {found}, this app has it as {asked}. "
                "Start a new run, or name the class as before.",
                found=found,
                asked=asked,
                work=name,
            )
        node = component._node
        for attribute, encoded in self.history.written.get(name, {}).items():
            if attribute in node.names and attribute not in _OF_THE_PROCESS:
                node.store_encoded(component, attribute, encoded)
        if component._travels:
            book = work.book if work is not None else CallBook()
            book.keep(lambda call: call.ended)
            component._book = book
