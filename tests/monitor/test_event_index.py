"""The index of a run: failures with their true number, times of changes, numbers of works."""

from __future__ import annotations

import random

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import Event
from lightning_lite.monitor.event_index import AttributeChange, EventIndex

from tests.support.stories import Story


def read(events: list[Event], earlier: EventIndex | None = None) -> tuple[RunHistory, EventIndex]:
    history = RunHistory()
    index = EventIndex(history, earlier)
    for event in events:
        history.apply(event)
        index.note(event)
    return history, index


def test_a_snapshot_of_all_calls_gives_the_same_failures_and_numbers():
    for seed in range(40):
        rng = random.Random(seed)
        story = Story(rng)
        events = story.begin()
        for _ in range(rng.randrange(150)):
            events += story.step()
        plain_history, plain = read(events)
        snapshot = list(plain_history.snapshot(10**9))
        _, new = read(snapshot)
        _, continued = read(snapshot, plain)

        there = {name for name, work in plain_history.works.items() if not work.is_detached}
        for index in (new, continued):
            assert {name: index.counts(name) for name in there} == {
                name: plain.counts(name) for name in there
            }, seed
            of_calls = {one for one in plain.failures.items() if one.work in there and one.call is not None}
            assert of_calls <= {*index.failures.items()}, seed
            assert index.failures.total >= len(of_calls), seed
        known = {
            (component, attribute)
            for component, changes in plain.changes.items()
            for attribute in changes
            if attribute in plain_history.written.get(component, {})
        }
        for component, attribute in known:
            assert new.changes[component][attribute] == AttributeChange(None, 1), seed
            assert continued.changes[component][attribute] == plain.changes[component][attribute], seed
