"""What the journal of an earlier run says: states, ended calls, and what was under way.

The tree is built afresh; each component takes what is here under its name when it enters the tree.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any

from lightning_lite.core.calls import Call
from lightning_lite.core.flow import LightningFlow
from lightning_lite.core.identity import class_identity
from lightning_lite.core.status import WorkStageStatus, WorkStatus
from lightning_lite.core.tree import wait_for
from lightning_lite.errors import JournalMismatch, PoisonCall
from lightning_lite.messages import Failure
from lightning_lite.packing import unpack
from lightning_lite.runs.records import Record

_MAX_DEADLY = 3  # how often in a row the flow may die soon after it has sent the same call
_OF_THE_PROCESS = frozenset({"_url", "_port"})  # what says something about a process that is gone


class Past:
    """An earlier run, record by record.

    Args:
        run: Id of the run.
        records: Its journal, in order.
    """

    def __init__(self, run: str, records: Iterable[Record]) -> None:
        self.run = run
        self._states: dict[str, dict[str, bytes]] = {}
        self._classes: dict[str, tuple[str, str]] = {}
        self._calls: dict[str, dict[str, Call]] = {}
        self._num_calls: dict[str, int] = {}
        self._statuses: dict[str, list[WorkStatus]] = {}
        self._under_way: set[tuple[str, str]] = set()
        self._deadly: dict[tuple[str, str], int] = {}
        for record in records:
            self._replay(record)
        self._blame()
        for calls in self._calls.values():
            for call in calls.values():
                if call.succeeded and call.statuses[-1].stage != WorkStageStatus.SUCCEEDED:
                    # The flow died between the answer and its note.
                    succeeded = WorkStatus(
                        WorkStageStatus.SUCCEEDED, call.statuses[-1].timestamp, count=call.attempt
                    )
                    call.statuses.append(succeeded)

    @property
    def num_completed(self) -> int:
        """How many calls are not run again."""
        return sum(call.ended for calls in self._calls.values() for call in calls.values())

    @property
    def num_again(self) -> int:
        """How many calls were asked for and are run again if the flow asks again."""
        return sum(not call.ended for calls in self._calls.values() for call in calls.values())

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
        for calls in self._calls.values():
            for key in [key for key, call in calls.items() if call.failure is not None]:
                del calls[key]

    def hand_over(self, root: LightningFlow) -> None:
        """Let each component take its past, now or when it enters the tree."""
        for name in {*self._states, *self._classes, *self._calls}:
            wait_for(root, name, partial(self._restore, name))

    # Folding the records.

    def _replay(self, record: Record) -> None:
        match record.kind:
            case "begun":
                self._blame()
            case "state":
                self._states.setdefault(record.component, {}).update(unpack(record.load()))
            case "value":
                self._call(record.component, record.key).succeed(record.data)
                self._under_way.discard((record.component, record.key))
            case "survived":
                self._under_way.discard((record.component, record.key))
                self._deadly.pop((record.component, record.key), None)
            case "turn":
                self._replay_turn(*unpack(record.load()))

    def _replay_turn(
        self,
        notes: list[Any],
        completed: list[Any],
        answered: list[Any],
        works: dict[str, Any],
        written: dict[str, Any],
    ) -> None:
        self._classes |= works
        for name, values in written.items():
            self._states.setdefault(name, {}).update(values)
        for work, key, number, fields in notes:
            self._replay_note(work, key, number, WorkStatus(*fields))
        for work, key, failure in completed:
            self._call(work, key).fail(Failure(*failure))
        for work, key in answered:
            self._call(work, key).answered = True

    def _replay_note(self, work: str, key: str, number: int, status: WorkStatus) -> None:
        if not key:
            self._statuses.setdefault(work, []).append(status)
            return
        calls = self._calls.setdefault(work, {})
        call = calls.get(key)
        if call is None or call.number != number:
            call = calls[key] = Call(key, number, b"")
        call.statuses.append(status)
        call.attempt = max(call.attempt, status.count)
        self._num_calls[work] = max(number, self._num_calls.get(work, 0))
        if status.stage == WorkStageStatus.RUNNING:
            self._under_way.add((work, key))
        else:
            self._under_way.discard((work, key))
            self._deadly.pop((work, key), None)

    def _call(self, work: str, key: str) -> Call:
        return self._calls[work][key]

    def _blame(self) -> None:
        """A process has ended here: put its death down to what had just been sent."""
        for deed in self._under_way:
            self._deadly[deed] = self._deadly.get(deed, 0) + 1
        self._under_way.clear()

    # Handing it over.

    def _restore(self, name: str, component: Any) -> None:
        if name in self._classes and class_identity(type(component)) != tuple(self._classes[name]):
            raise JournalMismatch(
                f"Run {self.run} has {name} as {'.'.join(self._classes[name])}, this app has it as "
                f"{'.'.join(class_identity(type(component)))}. Start a new run, or name the class as before.",
                work=name,
            )
        node = component._node
        for attribute, frozen in self._states.get(name, {}).items():
            if attribute in node.names and attribute not in _OF_THE_PROCESS:
                node.store_frozen(component, attribute, frozen)
        if component._travels:
            calls = list(self._calls.get(name, {}).values())
            component._book.restore(calls, self._num_calls.get(name, 0), self._statuses.get(name, []))
