"""Checks that the events of a run follow from each other.

The checksums of a journal prove that it is what a process wrote, not that the process wrote sense. An event
about a call that was never asked for can't be applied: the record of that call is missing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import assert_never

from lightning_lite.errors import JournalCorrupt
from lightning_lite.events import (
    AnswersKept,
    AnswerUsed,
    CallAsked,
    CallFailed,
    CallsKept,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    ComponentAttached,
    ComponentDetached,
    Event,
    HistoryKept,
    ProcessStarted,
    RunBegun,
    ScheduleFired,
    StateReported,
    StateWritten,
    WorkKept,
    WorkStatusChanged,
    is_below,
)
from lightning_lite.runs.reader import corrupt
from lightning_lite.text import one_line


def check_order(events: Iterable[Event], file: str) -> Iterator[Event]:
    """Yield events unchanged, up to the first that does not follow from those before it.

    Args:
        events: All events of a run.
        file: Absolute path of the journal, for the error.

    Raises:
        JournalCorrupt: An event is about a component or a call that no earlier event mentions.
    """
    order = _Order()
    for event in events:
        missing = order.missing_for(event)
        if missing is not None:
            raise _impossible(file, event, missing)
        yield event


class _Order:
    """The components and calls that the events so far mention."""

    def __init__(self) -> None:
        self._works: set[str] = set()
        self._components: set[str] = set()
        self._keys: defaultdict[str, set[str]] = defaultdict(set)  # of the calls asked for, by work
        # A flow may take a work out of the tree and give it another name. Events about its calls have the
        # new name from then on, while `CallAsked` had the old one.
        self._moved_keys: set[str] = set()

    def missing_for(self, event: Event) -> str | None:
        """Return what must have happened before an event and has not, or `None`; then the event counts."""
        match event:
            case CallStatusChanged() | CallSucceeded() | CallFailed() | CallSurvived() | AnswerUsed():
                if event.key not in self._keys[event.component] and event.key not in self._moved_keys:
                    return f"{event.component} was not asked for a call with the key {event.key}"
            case ComponentAttached():
                self._components.add(event.component)
                if event.is_work:
                    self._works.add(event.component)
            case ComponentDetached():
                self._detach(event.component)
            case StateWritten() | StateReported():
                if event.component not in self._components:
                    return f"there is no component {event.component}"
            case ProcessStarted() | WorkStatusChanged() | CallAsked():
                if event.component not in self._works:
                    return f"there is no work {event.component}"
                if isinstance(event, CallAsked):
                    self._keys[event.component].add(event.key)
            case RunBegun() | ScheduleFired() | WorkKept():
                pass
            case HistoryKept():
                self._moved_keys.update(event.moved)
            case AnswersKept():
                self._keys[event.component].update(event.keys)
            case CallsKept():
                self._keys[event.component].update(call.key for call in event.calls)
            case _:
                assert_never(event)
        return None

    def _detach(self, top: str) -> None:
        for name in [name for name in self._components if is_below(name, top)]:
            self._components.discard(name)
            self._works.discard(name)
            self._moved_keys |= self._keys.pop(name, set())


def _impossible(file: str, event: Event, missing: str) -> JournalCorrupt:
    what = f"{type(event).__name__}, but {missing}"
    return corrupt(file, None, one_line(what, limit=200))
