"""What the journal of an earlier run says: states, ended calls, and what was under way.

The tree is built afresh; each component takes what is here under its name when it enters the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from lightning_lite.errors import JournalMismatch, PoisonCall
from lightning_lite.messages import Failure
from lightning_lite.runs.records import Record
from lightning_lite.status import StatusFields, WorkStageStatus, pending_since
from lightning_lite.tree.calls import Call, CallBook
from lightning_lite.tree.facts import Event, is_below
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.identity import class_identity
from lightning_lite.tree.node import wait_for
from lightning_lite.values.pickling import unpack

_MAX_DEADLY = 3  # how often in a row the flow may die soon after it has sent the same call
_OF_THE_PROCESS = frozenset({"_url", "_port"})  # what says something about a process that is gone
_UNDER_WAY = frozenset({WorkStageStatus.PENDING, WorkStageStatus.RUNNING})


class Trace:
    """What one component has left behind.

    Attributes:
        state: Frozen values of its attributes, as far as they were written.
        book: Its calls, if it is a work.
        identity: Module and name of its class, if it is a work.
    """

    __slots__ = ("book", "identity", "state")

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.book = CallBook()
        self.identity: tuple[str, str] | None = None


class Past:
    """An earlier run, record by record.

    Args:
        run: Id of the run.
        records: Its journal, in order.
    """

    def __init__(self, run: str, records: Iterable[Record]) -> None:
        self.run = run
        self._traces: dict[str, Trace] = {}
        self._under_way: set[tuple[str, str]] = set()
        self._deadly: dict[tuple[str, str], int] = {}
        for record in records:
            self._replay(record)
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
        """Refuse to send a call once more that the flow has died of, as far as anybody can tell.

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
        for name, trace in self._traces.items():
            wait_for(root, name, partial(self._restore, name, trace))

    # Folding the records.

    def _replay(self, record: Record) -> None:
        match record.kind:
            case "begun":
                self._end_process()
            case "state":
                self._trace(record.component).state.update(unpack(record.load()))
            case "value":
                self._call(record.component, record.key).succeed(record.data)
                self._absolve(record.component, record.key)
            case "survived":
                self._absolve(record.component, record.key)
            case "turn":
                for event in unpack(record.load()):
                    self._replay_event(event)

    def _replay_event(self, event: Event) -> None:
        match event:
            case "asked", work, key, number, wall, _:  # perhaps once more
                book = self._trace(work).book
                book.note(book.enter(Call(key, number, b"")), pending_since(wall))
            case "status", work, "", _, fields:
                self._trace(work).book.note(None, fields)
            case "status", work, key, number, fields:
                self._replay_status(work, key, number, fields)
            case "failed", work, key, failure:
                self._call(work, key).fail(Failure(*failure))
            case "answered", work, key:
                if (call := self._trace(work).book.current.get(key)) is not None:  # as above
                    call.answered = True
            case "entered", work, identity:
                self._trace(work).identity = identity
            case "left", name:
                self._forget(name)
            case "wrote", name, values:
                self._trace(name).state.update(values)

    def _replay_status(self, work: str, key: str, number: int, fields: StatusFields) -> None:
        book = self._trace(work).book
        call = book.current.get(key)
        if call is None or call.number != number:
            call = book.enter(Call(key, number, b""))  # asked for before the work got this name
        book.note(call, fields)
        call.attempt = max(call.attempt, fields[4])
        if fields[0] == WorkStageStatus.RUNNING:
            self._under_way.add((work, key))
        elif fields[0] not in _UNDER_WAY:
            self._absolve(work, key)

    def _end_process(self) -> None:
        """A process has ended here: put its death down to what had just been sent, and complete its notes."""
        for deed in self._under_way:
            self._deadly[deed] = self._deadly.get(deed, 0) + 1
        self._under_way.clear()
        for trace in self._traces.values():
            for call in trace.book.current.values():
                last = call.statuses[-1]
                if call.succeeded and last.stage != WorkStageStatus.SUCCEEDED:  # it died between the two
                    fields = (WorkStageStatus.SUCCEEDED, last.timestamp, None, "", call.attempt, "")
                    trace.book.note(call, fields)

    def _forget(self, name: str) -> None:
        """Forget a component that was taken out of the tree, and all below it."""
        for gone in [key for key in self._traces if is_below(key, name)]:
            for key in self._traces.pop(gone).book.current:
                self._absolve(gone, key)

    def _absolve(self, work: str, key: str) -> None:
        self._under_way.discard((work, key))
        self._deadly.pop((work, key), None)

    def _trace(self, name: str) -> Trace:
        return self._traces.setdefault(name, Trace())

    def _call(self, work: str, key: str) -> Call:
        return self._traces[work].book.current[key]

    def _calls(self) -> Iterable[Call]:
        for trace in self._traces.values():
            yield from trace.book.current.values()

    # Handing it over.

    def _restore(self, name: str, trace: Trace, component: Any) -> None:
        if trace.identity is not None and class_identity(type(component)) != tuple(trace.identity):
            found, asked = ".".join(trace.identity), ".".join(class_identity(type(component)))
            raise JournalMismatch(
                f"Run {self.run} has {name} as {found}, this app has it as {asked}. "
                "Start a new run, or name the class as before.",
                found=found,
                asked=asked,
                work=name,
            )
        node = component._node
        for attribute, encoded in trace.state.items():
            if attribute in node.names and attribute not in _OF_THE_PROCESS:
                node.store_encoded(component, attribute, encoded)
        if component._travels:
            trace.book.keep(lambda call: call.ended)
            component._book = trace.book
