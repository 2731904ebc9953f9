"""Restores states and calls of an earlier run in a resumed app.

The resumed app builds a new tree. Each component gets the values recorded under its name when it is attached.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from lightning_lite.engine.earlier_lists import PROCESS_ATTRIBUTES, EarlierLists
from lightning_lite.engine.history import RunHistory
from lightning_lite.errors import JournalMismatch, PoisonCall
from lightning_lite.events import CallSurvived
from lightning_lite.tree.calls import Call, CallRecords
from lightning_lite.tree.class_identity import class_identity
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.hierarchy import call_when_attached
from lightning_lite.tree.node import TreeMember
from lightning_lite.tree.structures import List
from lightning_lite.tree.work import LightningWork

_MAX_DEATHS = 3  # deaths of the flow in a row, each soon after it sent the same call


class Replay:
    """State of an earlier run.

    Args:
        run: Id of the run.
        history: History of the run.
        has_died: Whether its last process has died. Else it has ended in order, also if the journal does not
            say so, because the disk was full.

    Attributes:
        run: Id of the run.
        history: History of the run.
        survived: Events to record: the last process has survived its calls.
    """

    def __init__(self, run: str, history: RunHistory, *, has_died: bool = True) -> None:
        self.run = run
        self.history = history
        calls = () if has_died else history.sent
        self.survived = [CallSurvived(work, key, history.last_time) for work, key in calls]
        for event in self.survived:
            history.apply(event)
        history.end_process()

    @property
    def num_completed(self) -> int:
        """Number of calls that are not run again."""
        return sum(call.ended for call in self._calls())

    @property
    def num_unfinished(self) -> int:
        """Number of unfinished calls, which are run again if the flow requests them again."""
        return sum(not call.ended for call in self._calls())

    def check_poison(self) -> None:
        """Refuse to resume a run in which a call has probably killed the flow several times.

        Raises:
            PoisonCall: The message says how to run it anyway.
        """
        for (work, key), times in self.history.deaths.items():
            if times >= _MAX_DEATHS:
                raise PoisonCall(
                    f"The flow died {times} times in a row within seconds after it had sent a call to {work} "
                    f"(key {key}), so run {self.run} is not resumed. To run the call anyway: "
                    f"app.run(resume={self.run!r}, retry_failed=True), or the option --retry-failed of "
                    "lightning-lite resume.",
                    work=work,
                    key=key,
                )

    def forget_failures(self) -> None:
        """Mark failed calls as not ended, so that they are run again."""
        for call in self._calls():
            call.ended = call.ended and call.failure is None

    def restore(self, root: LightningFlow) -> None:
        """Restore each component, now or when it is attached to the tree."""
        for name in self.history.works.keys() | self.history.written.keys():
            call_when_attached(root, name, partial(self._restore, name))
        earlier = EarlierLists(self.history)
        for name in earlier.names():
            call_when_attached(root, name, partial(_restore_numbers, earlier))

    def _calls(self) -> Iterator[Call]:
        for work in self.history.works.values():
            yield from work.records.current.values()

    # Restore components.

    def _restore(self, name: str, component: TreeMember) -> None:
        """Give a component its recorded state, and a work its ended calls.

        Raises:
            JournalMismatch: The component had another class in the earlier run.
        """
        work = self.history.works.get(name)
        identity = class_identity(type(component))
        before = work.identity if work is not None and not work.is_detached else None
        if before is not None and before != identity:
            found, asked = ".".join(before), ".".join(identity)
            raise JournalMismatch(
                f"In run {self.run}, {name} is a {found}; in this app it is a {asked}. "
                "Start a new run, or restore the name of the class.",
                found=found,
                asked=asked,
                work=name,
            )
        node = component._node
        for attribute, encoded in self.history.written.get(name, {}).items():
            if attribute in node.names and attribute not in PROCESS_ATTRIBUTES:
                node.store_encoded(attribute, encoded)
        if isinstance(component, LightningWork):
            records = work.records if work is not None else CallRecords()
            records.keep(lambda call: call.ended)
            component._records = records


def _restore_numbers(earlier: EarlierLists, member: TreeMember) -> None:
    """Let the members that the flow adds to a list again have the names that they had before."""
    if isinstance(member, List):
        earlier.restore(member)
