"""The history folded from the events of any run equals the state of its flow at that time."""

from __future__ import annotations

import random
from collections import defaultdict, deque

import pytest
from test_interleavings import CALLER, World

from lightning_lite.clock import ManualClock
from lightning_lite.engine.history import fold_entries
from lightning_lite.engine.machine import Machine
from lightning_lite.engine.recorder import Recorder
from lightning_lite.engine.replay import Replay
from lightning_lite.tree.structures import Dict

from tests.support.simulation import ScriptedFlow, Work


class NoGood(Exception):
    """An error that some passes raise."""


class Pages:
    """A journal in memory."""

    def __init__(self, folder):
        self.records = []
        self.size = self.size_of_new_values = 0
        self.folder = folder

    def write(self, entry):
        self.records.append(entry)
        return self.size

    def keep_value(self, data):
        raise AssertionError("no value is that big")


class Restless(ScriptedFlow):
    """A flow whose works come and go, are stopped and restarted, and asked again and again."""

    def __init__(self, rng):
        super().__init__(self.live)
        self._rng = rng
        self._num_requests = 25
        self.turn = 0
        self.members = Dict(a=self.make())

    def make(self):
        rng = self._rng
        return Work(
            parallel=rng.random() < 0.8,
            cache_calls=rng.random() < 0.6,
            raise_exception=rng.random() < 0.03,
            retries=rng.choice([0, 1]),
            retry_delay=0.5,
            timeout=rng.choice([None, 5.0]),
        )

    def live(self, _):
        rng = self._rng
        for _ in range(min(rng.randrange(4), self._num_requests)):
            self._num_requests -= 1
            self.act(rng.choice("abc"))
        for work in self.members.values():
            if work._policy.cache_calls or rng.random() < 0.3:
                work.run(self.turn % 3)

    def act(self, name):
        rng, members = self._rng, self.members
        if name not in members:
            members[name] = self.make()
        elif (fate := rng.random()) < 0.1:
            del members[name]
        elif fate < 0.3:
            del members[name]
            members[name] = self.make()
            if members[name]._policy.parallel:
                members[name].run(self.turn % 3)
        elif fate < 0.5:
            self.turn += 1
        elif fate < 0.52:
            raise NoGood
        else:
            work = members[name]
            rng.choice([work.stop, work.kill, work.restart, work.start])()


def remembered(records):
    """Return the records of the calls that were not interrupted; a resume requests the others again."""
    calls = {
        key: (call.number, call.ended, call.succeeded, call.answered, call.statuses)
        for key, call in records.current.items()
        if call.failure is None or call.failure.reason != "stopped"
    }
    return (
        calls,
        records.num_calls,
        records.num_failures,
        records.num_successes,
        records.num_timeouts,
        records.has_started,
    )


def compare(machine, records):
    """Check that the journal says what the flow knows."""
    history = fold_entries(records, "journal")
    for supervisor in machine.supervisors():
        name = supervisor.name
        known, folded = supervisor.work._records, history.works[name].records
        cut = known.current.keys() - remembered(known)[0].keys()
        for key in cut & folded.current.keys():
            assert not folded.current.pop(key).ended
        assert remembered(folded) == remembered(known)
        assert not history.works[name].is_detached
        for key, call in folded.current.items():
            shown = history.works[name].newest_by_key[key]
            assert [status.stage for status in shown.statuses] == [status.stage for status in call.statuses]


def play(seed, folder):
    """Play a course of events, and compare after each turn; return how many there were."""
    rng = random.Random(seed)
    clock, world, pages = ManualClock(), World(rng), Pages(folder)
    world.messages = defaultdict(deque)
    machine = Machine(Restless(rng), CALLER, rng.choice([None, 1, 2]))
    recorder = Recorder(pages)
    step = machine.open(clock.now())
    for turn in range(60):
        recorder.record(step.events, clock.now())
        world.take(step.requests)
        if machine.ended:
            return turn
        compare(machine, pages.records)
        if rng.random() < 0.2:
            clock.advance(rng.choice([0.1, 1.0, 10.0]))
        now, reports = clock.now(), world.deliver(3)
        try:
            step = machine.step(now, reports)
            if not machine.wants_pass:
                continue
            recorder.record(step.events, now)
            world.take(step.requests)
            step = machine.step(now)
        except NoGood:
            recorder.record(machine.close(now).events, now)
            Replay("over", fold_entries(pages.records, "journal"))
            return turn
    return 60


@pytest.mark.parametrize(
    "seeds",
    [range(15), pytest.param(range(15, 3000), marks=pytest.mark.torture)],
    ids=["15", "the other 2,985"],
)
def test_whatever_happens_the_journal_says_what_the_flow_knew(seeds, tmp_path):
    """A course that goes wrong is named by its seed in the traceback: `play(seed, folder)` plays it again."""
    assert sum(play(seed, str(tmp_path)) for seed in seeds) > 20 * len(seeds)
