"""A pass waits in place for a call: it goes on at its line, or is cut when something else has happened."""

from __future__ import annotations

import random
import re
import threading
import warnings
from collections import deque
from contextlib import suppress
from inspect import unwrap
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.clock import ManualClock
from lightning_lite.context import Caller, current_caller
from lightning_lite.engine import machine
from lightning_lite.engine.history import fold
from lightning_lite.engine.machine import Machine
from lightning_lite.errors import (
    ComponentError,
    DetachedError,
    JournalError,
    LightningFlowWarning,
    Pause,
    PauseSwallowed,
)
from lightning_lite.main_messages import KillWork, StopWanted, WorkExited
from lightning_lite.messages import Failure, StopWork
from lightning_lite.process_places import Place
from lightning_lite.tree.structures import Dict, List
from lightning_lite.values.codec import decode, encode
from lightning_lite.values.pickling import pack, unpack

from tests.support.simulation import (
    RunCall,
    RunEnded,
    ScriptedFlow,
    StartWork,
    StateChanged,
    Work,
    WorkStarted,
)

CALLER = Caller("flow", "root", "/nowhere")

#: Turns after which a flow that does not come to rest counts as running forever.
MAX_TURNS = 2000


class Works:
    """Plays the processes of works: each request is answered when the test delivers the answer.

    Args:
        run: Called with the name of the work and the arguments of a call; returns the changes of its state
            and its value, or raises.
    """

    def __init__(self, run):
        self.run = run
        self.reports = {}
        self.calls = []

    def take(self, requests):
        """Queue the answers of the works to these requests."""
        for request in requests:
            reports = self.reports.setdefault(request.work, deque())
            match request:
                case StartWork():
                    reports.append(WorkStarted(request.work, Place("here", 1)))
                case StopWork() | KillWork():
                    reports.append(WorkExited(request.work, 0))
                case RunCall():
                    self._answer(request, reports)

    def _answer(self, call, reports):
        args, kwargs = unpack(call.arguments)
        self.calls.append((call.work, args))
        value, failure = None, None
        try:
            changes, value = self.run(call.work, *args, **kwargs)
            for name, change in changes:
                reports.append(StateChanged(call.work, {name: encode(change, name)}, call.written))
        except ValueError as error:
            failure = Failure("user_exception", f"ValueError: {error}", "", pack(error))
        packed = None if failure else pack(value)
        reports.append(RunEnded(call.work, call.key, call.attempt, {}, call.written, packed, failure))

    @property
    def ready(self):
        return [reports for reports in self.reports.values() if reports]


def answer_double(work, number=0):
    """Return no changes, and the double of the argument."""
    return [], 2 * number


class Driver:
    """Drives a machine whose passes wait; `choose` picks the reports of each turn.

    Args:
        flow: The root flow.
        run: See `Works`.
        choose: Called with the works; returns the next reports. By default, all that are ready.
        waits: Whether passes wait in place.
    """

    def __init__(self, flow, run=answer_double, choose=None, waits=True):
        self.clock = ManualClock()
        self.works = Works(run)
        self.flow = flow
        self.events = []
        self.answers = []
        self.num_exchanges = 0
        self._choose = choose or self.choose_all
        self._num_turns = 0
        exchange = self.exchange if waits else None
        self.machine = Machine(flow, CALLER, None, exchange, self.clock.now)
        self.take(self.machine.open(self.clock.now()))

    @staticmethod
    def choose_all(works):
        return [reports.popleft() for reports in works.ready for _ in range(len(reports))]

    def take(self, step):
        self.events += step.events
        self.answers += step.answers
        self.works.take(step.requests)

    def turn(self):
        """Deliver reports, or let the time pass until the machine wants to be called."""
        self._num_turns += 1
        assert self._num_turns < MAX_TURNS, f"the flow runs forever: {list(self.machine._outbox.reasons)}"
        reports = self._choose(self.works)
        wake_at = self.machine.wake_at
        if self.works.ready:
            self.clock.advance(1e-5)
        elif not reports and wake_at is not None and not self.machine.wants_pass:
            self.clock.advance(max(0.0, wake_at - self.clock.now().monotonic))
        num_passes = self.machine.num_passes
        self.take(self.machine.step(self.clock.now(), reports))
        if self.machine.wants_pass and self.machine.num_passes == num_passes:
            self.take(self.machine.step(self.clock.now()))

    def exchange(self, step):
        self.num_exchanges += 1
        self.take(step)
        self.turn()

    def run(self):
        """Run until the app has ended or nothing can change any more; return the flow."""
        while not self.machine.ended and (not self.machine.is_at_rest or self.works.ready):
            self.turn()
        return self.flow


def play(script, run=answer_double, **options):
    """Run a flow with the works `a`, `b` (parallel) and `c`, whose `run` is `script`; return its driver."""
    attributes = {"a": Work(), "b": Work(parallel=True), "c": Work(raise_exception=False)}
    driver = Driver(ScriptedFlow(script, **attributes), run, **options)
    driver.run()
    return driver


def test_a_loop_of_calls_needs_one_pass_and_one_more_from_the_first_line():
    seen = []

    def script(flow):
        seen.append([flow.a.run(number) for number in range(100)])

    driver = play(script)

    assert seen == [[2 * number for number in range(100)]] * 2
    # The first passes end when the processes have started, which the flow might have to see.
    assert driver.machine.num_passes <= 4
    assert len(driver.works.calls) == 100


def test_without_an_exchange_each_call_cuts_the_pass():
    driver = play(lambda flow: [flow.a.run(number) for number in range(20)], waits=False)

    assert driver.machine.num_passes > 20
    assert driver.num_exchanges == 0


def test_blocks_around_a_waiting_call_are_left_once_if_the_pass_goes_on():
    log = []

    def script(flow):
        try:
            log.append("in")
            flow.a.run(1)
            log.append("ended")
        finally:
            log.append("out")

    play(script)

    assert log[-6:] == ["in", "ended", "out", "in", "ended", "out"]
    assert log.count("in") == log.count("out")


def test_another_work_that_reports_cuts_the_pass_and_the_first_lines_react():
    seen = []

    def script(flow):
        flow.b.run(1)
        if flow.b.loss > 0.5:
            seen.append(flow.a.call(7) is not None and flow.a.call(7).ended)
        flow.a.run(7)

    def run(work, number):
        return ([("loss", 1.0)] if work == "root.b" else []), number

    def choose(works):
        for name in ("root.c", "root.b", "root.a"):  # the answer of `a` comes last
            if works.reports.get(name):
                return [works.reports[name].popleft()]
        return []

    play(script, run, choose=choose)

    assert seen[0] is False, "the line before the call has not reacted while the call ran"
    assert seen[-1] is True


def test_a_write_of_the_flow_before_the_waiting_line_is_seen_by_lines_above_while_the_call_runs():
    """A flow that starts a server above the line that needs it would wait forever otherwise."""

    def script(flow):
        if flow.go:
            flow.b.run(1)
        flow.go = True
        flow.a.run(1)

    def choose(works):
        is_served = ("root.b", (1,)) in works.calls
        return [
            reports.popleft() for reports in works.ready if is_served or not isinstance(reports[0], RunEnded)
        ]

    flow = ScriptedFlow(script, a=Work(), b=Work(parallel=True), go=False)
    Driver(flow, choose=choose).run()

    assert flow.a.call(1).succeeded


def test_a_loop_that_stores_its_position_comes_to_rest_while_its_call_runs():
    def script(flow):
        for number in range(4):
            flow.position = number
            flow.done = [*range(number)]
            flow.done.append(number)
            flow.a.run(number)

    passes = []

    def choose(works):
        """Deliver all but the end of the last call; note the number of passes while it runs."""
        if ("root.a", (3,)) in works.calls:
            passes.append(driver.machine.num_passes)
            if len(passes) == 20:
                raise TimeoutError
        return Driver.choose_all(works) if not passes else []

    flow = ScriptedFlow(script, a=Work(), position=0, done=[])
    driver = Driver(flow, choose=choose)
    with pytest.raises(TimeoutError):
        driver.run()

    assert passes[-1] <= passes[0] + 1
    assert (flow.position, flow.done) == (3, [0, 1, 2, 3])
    restored = fold(driver.events).states["root"]
    assert (decode(restored["position"]), decode(restored["done"])) == (3, [0, 1, 2, 3])


def test_a_pass_that_leaves_the_state_as_it_was_is_the_last_one():
    def script(flow):
        flow.state_of_work = "starts"
        flow.losses.clear()
        flow.a.run(1)
        flow.state_of_work = "ended"
        flow.losses.append(0.5)

    driver = Driver(ScriptedFlow(script, a=Work(), state_of_work="", losses=[]))

    flow = driver.run()

    assert (flow.state_of_work, flow.losses) == ("ended", [0.5])


def test_a_flow_that_changes_the_state_in_each_pass_is_warned(monkeypatch):
    monkeypatch.setattr(machine, "_MANY_ALONE", 1000)

    def script(flow):
        flow.count += 1
        if flow.count == 1500:
            flow.stop()

    driver = Driver(ScriptedFlow(script, count=0))

    with pytest.warns(LightningFlowWarning, match=r"1,000 passes in a row, .* changed root\.count: it never"):
        driver.run()


class Reports(LightningWork):
    """Reports another number every millisecond, until it is stopped."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.number = 0

    def run(self) -> None:
        while True:
            self.number += 1
            threading.Event().wait(0.001)


class Spins(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.reports = Reports()
        self.count = 0

    def run(self) -> None:
        self.reports.run()
        self.count += 1
        if self.count == 2_000:
            self.stop()


class Sums(Spins):
    """Changes only attributes that a report has changed."""

    def run(self) -> None:
        self.reports.run()
        self.count = self.reports.number
        if self.count >= 300:
            self.stop()


def test_reports_do_not_hide_that_a_flow_changes_the_state_in_each_pass(monkeypatch):
    monkeypatch.setattr(machine, "_MANY_ALONE", 200)

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", LightningFlowWarning)
        LightningApp(Spins()).run("inline")

    (warning,) = caught
    assert "200 passes in a row, because each of them changed root.count: it never" in str(warning.message)
    assert (warning.filename, warning.lineno) == (__file__, unwrap(Spins.run).__code__.co_firstlineno)


class Slow(LightningFlow):
    """Takes two seconds for each of six passes."""

    def __init__(self, clock: ManualClock) -> None:
        super().__init__()
        self._clock = clock
        self.count = 0

    def run(self) -> None:
        self._clock.advance(2.0)
        self.count += 1
        if self.count == 6:
            self.stop()


def test_the_warning_about_slow_passes_shows_the_flow():
    clock = ManualClock()
    with pytest.warns(LightningFlowWarning, match=r"last 5 passes of the flow took more than 1 s") as caught:
        LightningApp(Slow(clock), clock=clock).run("inline")

    (warning,) = caught
    assert (warning.filename, warning.lineno) == (__file__, unwrap(Slow.run).__code__.co_firstlineno)


def test_a_flow_that_changes_the_state_after_each_report_is_not_warned(monkeypatch):
    monkeypatch.setattr(machine, "_MANY_ALONE", 100)

    with warnings.catch_warnings():
        warnings.simplefilter("error", LightningFlowWarning)
        LightningApp(Sums()).run("inline")


def test_a_change_cuts_a_pass_with_many_answers_only_after_some_time():
    """A pass from the first line costs as much as its answers, so it must not follow each report."""
    number = [0]

    def run(work, argument=0):
        number[0] += 1
        return [("loss", float(number[0])), ("step", argument)], argument

    def choose(works):
        return [works.ready[0].popleft()] if works.ready else []

    driver = play(lambda flow: [flow.a.run(number) for number in range(300)], run, choose=choose)

    assert driver.machine.num_passes < 20  # a pass for each report would be 900
    assert len(driver.works.calls) == 300


def test_a_change_that_is_not_the_awaited_end_cuts_the_pass_although_that_end_never_comes():
    seen = []

    def script(flow):
        for number in range(50):
            flow.a.run(number)
        flow.b.run(1)
        seen.append(flow.b.loss)
        flow.a.run("never")

    def run(work, number):
        if number == "never":
            return [], None
        return ([("loss", 1.0)] if work == "root.b" else []), number

    def choose(works):
        for reports in works.ready:
            if isinstance(reports[0], RunEnded) and len(works.calls) > 51 and reports[0].work == "root.a":
                continue
            return [reports.popleft()]
        return []

    flow = ScriptedFlow(script, a=Work(), b=Work(parallel=True))
    driver = Driver(flow, run, choose)
    while 1.0 not in seen:
        driver.turn()

    assert seen[-1] == 1.0


def test_the_value_of_a_call_without_cache_is_used_once_in_each_pass():
    values = []

    def script(flow):
        values.append([flow.a.run() for _ in range(3)])
        if len(values) == 3:
            flow.stop()

    counter = iter(range(1, 100))
    flow = ScriptedFlow(script, a=Work(cache_calls=False))
    Driver(flow, lambda work: ([], next(counter))).run()

    assert values == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]


def test_a_pass_that_is_cut_after_the_end_of_its_call_is_followed_by_another_one():
    """The write before the call cuts the pass, and `finally` undoes it: nothing else is left to react to."""
    ends = []

    def script(flow):
        for number in range(20):
            flow.busy = True
            try:
                flow.a.run(number)
            finally:
                flow.busy = False
        ends.append(flow.a.num_successes)
        flow.stop()

    flow = ScriptedFlow(script, a=Work(), busy=False)
    driver = Driver(flow)
    driver.machine._patience = 0.0
    driver.run()

    assert ends == [20]


def test_works_without_cache_are_called_in_turn():
    passes = []

    def script(flow):
        passes.append([flow.a.run(), flow.b.run(), flow.c.run()])
        if len(passes) == 3:
            flow.stop()

    flow = ScriptedFlow(script, **{name: Work(cache_calls=False) for name in "abc"})
    driver = Driver(flow)
    driver.machine._patience = 0.0  # any change would cut a pass at once
    driver.run()

    assert [work for work, _ in driver.works.calls] == ["root.a", "root.b", "root.c"] * 3


def in_series(flow, number):
    return [flow.a.run(number), flow.b.run(number)]


def in_parallel(flow, number):
    flow.p.run(number), flow.q.run(number)
    return flow.wait_for(flow.p, flow.q)


@pytest.mark.parametrize("in_each_round", [in_series, in_parallel])
def test_a_loop_without_cache_that_stores_its_position_makes_each_call_once(in_each_round):
    values = []

    def script(flow):
        for number in range(20):
            flow.position = number
            values.append(in_each_round(flow, number))
        flow.stop()

    works = {name: Work(cache_calls=False) for name in "ab"}
    works |= {name: Work(cache_calls=False, parallel=True) for name in "pq"}
    driver = Driver(ScriptedFlow(script, position=0, **works))
    driver.machine._patience = 0.0
    driver.run()

    assert values == [[2 * number] * 2 for number in range(20)]
    assert len(driver.works.calls) == 40


@pytest.mark.parametrize("in_each_round", [in_series, in_parallel])
def test_a_loop_without_cache_ends_beside_a_work_that_reports_at_each_moment(in_each_round):
    seen = []

    def script(flow):
        flow.noise.run()
        seen.append(flow.noise.step)
        values = [in_each_round(flow, number) for number in range(20)]
        assert values == [[2 * number] * 2 for number in range(20)]
        flow.stop()

    def run(work, number=0):
        return [("step", step) for step in range(500)] if work == "root.noise" else [], 2 * number

    def one_at_a_time(works):
        noise = works.reports.get("root.noise")
        others = [reports for name, reports in works.reports.items() if reports and name != "root.noise"]
        return [reports.popleft() for reports in [*others, noise] if reports]

    works = {name: Work(cache_calls=False) for name in "ab"}
    works |= {name: Work(cache_calls=False, parallel=True) for name in "pq"}
    driver = Driver(ScriptedFlow(script, noise=Work(parallel=True), **works), run, one_at_a_time)
    driver.machine._patience = 0.0
    driver.run()

    num_calls = len([work for work, _ in driver.works.calls if work != "root.noise"])
    assert 40 <= num_calls < 60  # a report may cut the pass until it has called a work again
    assert len(seen) > 1  # up to then, the first line reacts


def test_a_value_without_cache_that_the_flow_stores_is_used_by_the_next_call():
    """The write does not cut the pass: the next one would fetch again, and call with other data."""

    def script(flow):
        flow.data = flow.fetch.run()
        flow.train.run(flow.data)
        if flow.data == 3:
            flow.stop()

    counter = iter(range(1, 100))
    flow = ScriptedFlow(script, fetch=Work(cache_calls=False), train=Work(), data=0)
    driver = Driver(flow, lambda work, *_: ([], next(counter) if work == "root.fetch" else None))
    driver.machine._patience = 0.0
    driver.run()

    fetch, train = ("root.fetch", ()), "root.train"
    assert driver.works.calls == [fetch, (train, (1,)), fetch, (train, (2,)), fetch, (train, (3,))]


def test_an_earlier_line_reacts_while_a_call_after_one_without_cache_runs():
    def script(flow):
        if flow.train.step > 2:
            flow.train.stop()
        flow.fetch.run(1), flow.fetch.run(2)
        flow.train.run()
        flow.stop()

    flow = ScriptedFlow(script, fetch=Work(cache_calls=False), train=Work())
    driver = Driver(flow, lambda work, *_: ([("step", 3)] if work == "root.train" else [], None))
    driver.machine._patience = 0.0
    driver._choose = lambda works: [
        one for one in Driver.choose_all(works) if type(one) is not RunEnded or one.work != "root.train"
    ]
    driver.run()

    assert flow.train.status.stage == "stopped"


def test_a_parallel_work_without_cache_gets_its_next_call_while_a_later_line_waits():
    seen = []

    def script(flow):
        seen.append(flow.p.run())
        flow.a.run()
        flow.stop()

    def choose(works):
        """Deliver what `p` reports, and the end of `a` after three values of `p`."""
        is_late = len([value for value in seen if value is not None]) == 3
        ready = [name for name, reports in works.reports.items() if reports and (name == "root.p" or is_late)]
        return [works.reports[name].popleft() for name in ready]

    flow = ScriptedFlow(script, p=Work(parallel=True, cache_calls=False), a=Work())
    counter = iter(range(1, 100))
    Driver(flow, lambda work: ([], (work, next(counter))), choose).run()

    values = [value for value in seen if value is not None]
    assert [work for work, _ in values] == ["root.p"] * len(values)
    assert len(values) >= 3


def test_a_failed_call_is_answered_with_none_and_the_pass_goes_on():
    seen = []

    def fail(work, number):
        raise ValueError("no good")

    play(lambda flow: seen.append((flow.c.run(1), flow.c.has_failed)), fail)

    assert seen[-1] == (None, True)


def test_a_failure_that_ends_the_app_cuts_the_waiting_pass():
    log = []

    def script(flow):
        try:
            flow.a.run(1)
            log.append("went on")
        except Exception:  # noqa: BLE001 - it must see none
            log.append("the flow sees an exception")
        finally:
            log.append("left")

    def fail(work, number):
        raise ValueError("no good")

    driver = play(script, fail)

    assert isinstance(driver.machine.error, ValueError)
    assert set(log) == {"left"}


def test_a_call_that_is_stopped_from_outside_ends_the_wait():
    seen = []
    flow = ScriptedFlow(lambda flow: seen.append((flow.a.run(1), flow.a.has_stopped)), a=Work())

    def choose(works):
        if works.calls and not works.stopped:
            works.stopped = True
            works.reports["root.a"].clear()
            return [StopWanted("root.a", 1.0)]
        return Driver.choose_all(works)

    driver = Driver(flow, choose=choose)
    driver.works.stopped = False
    driver.run()

    assert seen[-1] == (None, True)


@pytest.mark.parametrize(
    "error", [JournalError("the disk is full"), KeyboardInterrupt(), SystemExit(143)], ids=repr
)
def test_what_the_exchange_raises_ends_the_step_and_is_not_seen_by_the_flow(error):
    log = []

    def script(flow):
        try:
            flow.a.run(1)
        except Exception:  # noqa: BLE001 - it must see none
            log.append("swallowed")
        except Pause:
            log.append("cut")
            raise

    def choose(works):
        if works.calls:
            raise error
        return Driver.choose_all(works)

    with pytest.raises(type(error)) as caught:
        play(script, choose=choose)

    assert caught.value is error
    assert log[-1] == "cut"
    assert "swallowed" not in log


def test_what_the_exchange_raises_is_raised_even_if_the_flow_catches_everything():
    def script(flow):
        with suppress(BaseException):
            flow.a.run(1)

    def choose(works):
        if works.calls:
            raise KeyboardInterrupt
        return Driver.choose_all(works)

    flow = ScriptedFlow(script, a=Work())
    flow.a._policy = flow.a._policy._replace(start_with_flow=False)
    with pytest.raises((KeyboardInterrupt, PauseSwallowed)):
        Driver(flow, choose=choose).run()


def test_the_code_of_the_app_is_not_the_flow_while_a_pass_waits():
    callers = []

    def choose(works):
        callers.append(current_caller().kind)
        return Driver.choose_all(works)

    def script(flow):
        callers.append(f"before: {current_caller().kind}")
        flow.a.run(1)
        callers.append(f"after: {current_caller().kind}")

    play(script, choose=choose)

    assert set(callers) == {"script", "before: flow", "after: flow"}


def test_a_slow_pass_does_not_shorten_the_time_limit_of_its_next_call():
    def script(flow):
        flow.a.run(1)
        driver.clock.advance(10.0)
        flow.a.run(2)

    flow = ScriptedFlow(script, a=Work(timeout=1.0))
    driver = Driver(flow)
    driver.run()

    assert driver.machine.error is None
    assert flow.a.call(2).succeeded


def test_a_call_in_finally_is_cut_with_the_pass_and_runs_in_a_later_one():
    def script(flow):
        flow.go = True  # the first pass is cut, because this is a change
        try:
            flow.a.run(1)
        finally:
            flow.c.run(2)

    flow = ScriptedFlow(script, a=Work(), c=Work(), go=False)
    Driver(flow).run()

    assert flow.a.call(1).succeeded
    assert flow.c.call(2).succeeded


# The status of a call, in a pass that runs again.


def fail_even(work, number):
    if number % 2 == 0:
        raise ValueError(number)
    return [], number


@pytest.mark.parametrize("waits", [True, False], ids=["waits", "is cut"])
def test_a_status_after_a_call_is_that_of_the_call(waits: bool):
    seen = {}

    def script(flow):
        for number in range(6):
            flow.c.run(number)
            properties = (
                flow.c.has_failed,
                flow.c.has_succeeded,
                flow.c.status.stage,
                flow.c.statuses[-1].stage,
            )
            seen.setdefault(number, set()).add(properties)

    play(script, fail_even, waits=waits)

    failed, succeeded = (True, False, "failed", "failed"), (False, True, "succeeded", "succeeded")
    assert seen == {number: {succeeded if number % 2 else failed} for number in range(6)}


def test_a_status_after_a_call_of_a_parallel_work_is_that_of_the_call():
    seen = []

    def script(flow):
        seen.clear()
        for number in range(4):
            flow.b.run(number)
            flow.wait_for(flow.b)
            seen.append(flow.b.has_failed)

    Driver(ScriptedFlow(script, b=Work(parallel=True, raise_exception=False)), fail_even).run()

    assert seen == [True, False, True, False]


def test_before_the_first_call_of_a_pass_and_after_the_pass_a_status_is_that_of_the_newest_call():
    before = []

    def script(flow):
        before.append(flow.c.has_failed)
        for number in range(3):
            flow.c.run(number)
        flow.c.run(1)

    driver = play(script, fail_even)

    assert before[-1]
    assert driver.flow.c.has_failed


def test_after_a_stop_each_call_has_the_status_of_the_work():
    seen = []

    def script(flow):
        for number in (1, 3):
            flow.c.run(number)
        flow.c.stop()
        flow.c.run(1)
        seen.append(flow.c.has_stopped)

    play(script, fail_even)

    assert seen[-1]


# Waiting for several works.


def test_rounds_of_parallel_calls_go_on_in_place():
    rounds = []

    def script(flow):
        rounds.clear()
        for number in range(50):
            flow.b.run(number)
            flow.d.run(-number)
            rounds.append(flow.wait_for(flow.b, flow.d))

    flow = ScriptedFlow(script, b=Work(parallel=True), d=Work(parallel=True))
    driver = Driver(flow)
    driver.run()

    assert rounds == [[2 * number, -2 * number] for number in range(50)]
    assert driver.machine.num_passes < 50
    assert len(driver.works.calls) == 100


def test_a_pass_keeps_only_calls_that_have_not_ended():
    kept = []

    def script(flow):
        for number in range(50):
            flow.b.run(number)
            flow.wait_for(flow.b)
            kept.append(len(driver.machine._outbox.this_pass.pending["root.b"]))

    driver = Driver(ScriptedFlow(script, b=Work(parallel=True)))
    driver.run()

    assert max(kept) <= 1


def test_all_calls_of_a_work_have_ended_and_the_last_one_of_the_pass_gives_the_value():
    seen = []

    def script(flow):
        flow.b.run(1)
        flow.b.run(2)
        seen.append((flow.wait_for(flow.b), flow.b.call(1).ended, flow.b.call(2).ended))
        flow.b.run(1)
        seen.append(flow.wait_for(flow.b))

    play(script)

    assert seen[-2:] == [([4], True, True), [2]]


def test_a_pass_from_the_first_line_waits_for_no_call_of_a_later_line():
    seen = []

    def script(flow):
        flow.tick.run()
        flow.server.run("prepare")
        seen.append((flow.wait_for(flow.server), flow.server.call("serve") is not None))
        flow.server.run("serve")  # it ends when it is stopped
        flow.a.run()
        flow.stop()

    def choose(works):
        """Deliver a change of `tick` while `a` runs, then the end of `a`, and never the end of "serve"."""
        allowed = {"root.server": not seen}
        allowed["root.tick"] = ("root.a", ()) in works.calls
        allowed["root.a"] = bool(seen) and seen[-1][1]
        ready = [name for name, reports in works.reports.items() if reports and allowed[name]]
        return [works.reports[name].popleft() for name in ready]

    flow = ScriptedFlow(script, tick=Work(parallel=True), server=Work(parallel=True), a=Work())
    driver = Driver(flow, lambda work, what="": ([("step", 1)], what), choose)
    driver.run()

    assert seen[0] == (["prepare"], False)
    assert seen[-1] == (["prepare"], True)
    assert not flow.server.call("serve").ended


def test_a_work_without_a_call_or_with_a_failed_call_has_no_value():
    seen = []

    def fail(work, number):
        if work == "root.b":
            raise ValueError("no good")
        return [], number

    def script(flow):
        flow.b.run(1)
        seen.append(flow.wait_for(flow.a, flow.b))

    Driver(ScriptedFlow(script, a=Work(), b=Work(parallel=True, raise_exception=False)), fail).run()

    assert seen[-1] == [None, None]


def test_the_values_of_calls_without_cache_are_used_once():
    values = []

    def script(flow):
        flow.b.run()
        values.append(flow.wait_for(flow.b))
        if len(values) == 3:
            flow.stop()

    counter = iter(range(1, 100))
    flow = ScriptedFlow(script, b=Work(parallel=True, cache_calls=False))
    Driver(flow, lambda work: ([], next(counter))).run()

    assert values == [[1], [2], [3]]


def test_what_cannot_be_waited_for_is_named():
    flow = ScriptedFlow(lambda flow: None, a=Work())

    assert flow.wait_for() == []
    with pytest.raises(DetachedError, match="not part of a running app"):
        flow.wait_for(flow.a)
    with pytest.raises(ComponentError, match=r"takes works\. Found int\.$"):
        flow.wait_for(7)


@pytest.mark.parametrize(
    ("works", "advice"),
    [
        ([Work()], "Found list; put a star before it: wait_for(*works)."),
        ((Work(),), "Found tuple; put a star before it: wait_for(*works)."),
        (List(Work()), "Found List; put a star before it: wait_for(*works)."),
        (Dict(a=Work()), "Found Dict; pass its values, with a star before them: wait_for(*works.values())."),
    ],
    ids=["list", "tuple", "List", "Dict"],
)
def test_works_in_a_container_are_refused_with_the_way_to_pass_them(works: Any, advice: str):
    flow = ScriptedFlow(lambda flow: None, a=Work())

    with pytest.raises(ComponentError, match=re.escape(advice)):
        flow.wait_for(works)


# Any flow, with and without waiting.


#: Number of events of each schedule of a random flow: with more of them, it would never come to rest.
NUM_EVENTS = 2

#: Statements whose result is known when they end, so that it depends on nothing but the statements before.
IN_ORDER = ["call", "bare call", "wait for", "loop", "if value", "try", "write", "stop running"]

#: Statements that do more when reports arrive: never less, and at the end the same for any order of reports.
REACTING = ["parallel", "if ended", "if step", "stop idle"]

#: Statements that keep their position between passes, so each may be reached once in a pass.
KEPT = ["schedule", "iterate", "iterate in each pass"]


class AnyFlow(ScriptedFlow):
    """A flow that is made of random statements; its result depends on no order of reports.

    Some flows end with `stop()`: at any statement, if no statement reacts to reports, else when a pass has
    begun with no pending call and has changed nothing.

    Args:
        seed: Seed of the statements.
    """

    def __init__(self, seed):
        super().__init__(type(self).act)
        rng = random.Random(seed)
        self.w0 = Work(raise_exception=False)
        self.w1 = Work(raise_exception=False, retries=1, retry_delay=0.5)
        self.p0 = Work(parallel=True, raise_exception=False)
        self.p1 = Work(parallel=True, raise_exception=False, timeout=5_000.0)
        self.cut = Work(parallel=True, raise_exception=False)  # its calls never end by themselves
        self.once = Work(cache_calls=False, raise_exception=False)
        self.values = {}
        # At most three calls without cache: a flow that repeats them forever has no final state. Each of them
        # causes one more pass, so there are also flows without.
        self.num_once = rng.choice([0, 3])
        self.done = {}  # how many events of a schedule are done
        self.num_items = {}  # how many items of a loop are done
        self._ending = rng.choice(["rests", "rests", "stops", "stops anywhere"])
        kinds = IN_ORDER + (
            ["stop idle", "stop flow", "iterate"] if self._ending == "stops anywhere" else REACTING + KEPT
        )
        self._plan = [self.statement(rng, 0, kinds) for _ in range(rng.randrange(1, 6))]

    @classmethod
    def statement(cls, rng, depth, kinds):
        """Return a random statement, as a nested tuple."""
        kind = rng.choice(kinds if depth < 3 else [one for one in kinds if one in ("call", "parallel")])
        inner = kinds
        if kind == "loop":
            inner = [one for one in kinds if one not in [*KEPT, "iterate in each event"]]
        elif kind.startswith("iterate"):
            inner = [one for one in kinds if one not in [*REACTING, *KEPT, "iterate in each event"]]
        elif kind == "schedule":
            inner = [*(one for one in kinds if one not in REACTING + KEPT), "iterate in each event"]
        key = f"{kind} {rng.random()}"
        size = rng.randrange(1, 4) if depth < 3 else 0
        body = [cls.statement(rng, depth + 1, inner) for _ in range(size)]
        return kind, key, rng.randrange(2), rng.randrange(6), body

    def act(self):
        before = self.progress()
        self.execute_all(self._plan, 0)
        if self.num_once < 3 and self.once.run() is not None:
            self.num_once += 1
        is_complete = set(self.done.values()) <= {NUM_EVENTS} and before is not None
        if self._ending == "stops" and is_complete and self.progress() == before:
            self.stop("complete")

    def progress(self):
        """Return a copy of all that statements change, or `None` if a call is pending."""
        if not all(is_idle(work) for work in self.works()):
            return None
        num_calls = [len(work._records.current) for work in self.works()]
        return num_calls, dict(self.values), dict(self.done), dict(self.num_items), self.num_once

    def execute_all(self, body, offset):
        for statement in body:
            self.execute(statement, offset)

    def execute(self, statement, offset):
        kind, key, which, number, body = statement
        number += offset
        match kind:
            case "call":
                work = (self.w0, self.w1)[which]
                self.values[f"{work.name}({number})"] = work.run(number), work.has_succeeded
            case "bare call":  # it changes nothing, so that nothing but the end of the call causes a pass
                (self.w0, self.w1)[which].run(number)
            case "parallel":
                work = (self.p0, self.p1)[which]
                if (value := work.run(number)) is not None:
                    self.values[f"{work.name}({number})"] = value
            case "wait for":
                self.p0.run(number)
                self.p1.run(number)
                values = self.wait_for(self.p0, self.p1)
                self.values[f"wait for {number}"] = values, self.p0.has_succeeded, self.p1.has_succeeded
            case "loop":
                for position in range(number % 4):
                    self.execute_all(body, offset + position)
            case "if value":
                if self.w0.run(number) is not None:
                    self.execute_all(body, offset)
            case "if ended":
                call = (self.p0, self.p1)[which].call(number)
                if call is not None and call.ended:
                    self.execute_all(body, offset)
            case "if step":
                if (self.w0, self.p0)[which].step >= number:
                    self.values["steps"] = max(number, self.values.get("steps", 0))
                    self.execute_all(body, offset)
            case "try":
                try:
                    self.execute_all(body, offset)
                except Exception as error:
                    raise AssertionError("the flow has seen an error") from error
            case "write":
                self.values["written"] = max(number, self.values.get("written", 0))
            case "schedule":
                self.execute_at_events(key, which, offset, body)
            case "iterate" | "iterate in each pass" | "iterate in each event":
                for item in self.experimental_iterate(range(number % 4), kind == "iterate", user_key=key):
                    self.execute_all(body, offset + item)
                    if kind != "iterate in each pass":
                        self.num_items[key] = self.num_items.get(key, 0) + 1
            case "stop idle":
                # Once, and in no call: otherwise it depends on the order of reports which call is cut.
                work = (self.w0, self.p0)[which]
                if key not in self.values and is_idle(work):
                    work.stop()
                    self.values[key] = True
            case "stop running":
                self.cut.run(number)
                self.cut.stop()
                self.values[f"cut({number})"] = self.wait_for(self.cut)
            case "stop flow":
                self.values["stopped"] = number
                self.stop(key)

    def execute_at_events(self, key, asks_itself, offset, body):
        """Execute statements at the first events of a schedule."""
        num_done = self.done.setdefault(key, 0)
        is_due = self.schedule if asks_itself else self.ask
        if num_done < NUM_EVENTS and is_due("* * * * * */2", user_key=key):
            self.execute_all(body, offset + num_done)
            self.done[key] += 1

    def ask(self, pattern, user_key):
        """Return whether an event of a schedule is due."""
        return "due" if self.schedule(pattern, user_key=user_key) else ""


def is_idle(work):
    """Return whether all calls of a work have ended; the flow depends on it as on a status that it reads."""
    work._records.read_status(None)
    return all(call.ended for call in work._records.current.values())


def decoded(state):
    """Return the decoded values of a component; of the schedules only the names, not the times."""
    return {
        name: sorted(decode(value)) if name == "_schedules" else decode(value)
        for name, value in state.items()
    }


def answers_of_any():
    """Return a function for `Works`: values depend on nothing but the call, and states only grow."""
    highest = {}

    def answer(work, number=0):
        if (number * 7 + len(work)) % 5 == 0 and work != "root.once":
            raise ValueError(f"{work} has no answer to {number}")
        highest[work] = max(number, highest.get(work, 0))
        return [("step", highest[work]), ("curve", [*range(highest[work])])], (work, number)

    return answer


def meaning(driver):
    """Return the result of a run: values and states, calls with their results, and the journal's."""
    history = fold(driver.events)
    calls = {
        (work.name, call.key): (call.stage, call.value, call.failure and call.failure.message)
        for work in driver.flow.works()
        for call in work._records.current.values()
    }
    journaled = {(work.name, call.key): call.stage for work in history.works.values() for call in work.calls}
    # Whether a call that is cut has reached its process before depends on the time.
    sent = [call for call in driver.works.calls if call[0] != "root.cut"]
    return (
        driver.machine.ended,
        {work.name: work.state_vars for work in driver.flow.works()},
        {name: value for name, value in driver.flow.state_vars["vars"].items() if name != "_schedules"},
        calls,
        sorted(sent, key=repr),
        journaled,
        {name: decoded(state) for name, state in history.states.items()},
    )


def run_any(seed, interleaving, waits):
    """Run one random flow; return its result."""
    rng = random.Random(interleaving)
    all_at_once = (0.0, 0.5, 1.0)[interleaving % 3]

    def choose(works):
        if rng.random() < 0.2:
            driver.clock.advance(rng.choice([0.3, 1.0]))  # events of schedules come while calls run
        if rng.random() < all_at_once:
            reports = Driver.choose_all(works)  # an end of a call comes with the changes before it
        else:
            reports = [rng.choice(works.ready).popleft() for _ in range(rng.randrange(4)) if works.ready]
        return [one for one in reports if not (isinstance(one, RunEnded) and one.work == "root.cut")]

    driver = Driver(AnyFlow(seed), answers_of_any(), choose, waits)
    driver.run()
    assert driver.machine.error is None
    return meaning(driver)


@pytest.mark.parametrize(
    "seeds",
    [range(15), pytest.param(range(15, 3_000), marks=pytest.mark.torture)],
    ids=["15", "the other 2,985"],
)
def test_any_flow_comes_to_the_same_with_waiting_as_without(seeds):
    wrong = []
    for seed in seeds:
        expected = run_any(seed, 0, waits=False)
        wrong += [
            (seed, interleaving)
            for interleaving in range(1, 4)
            if run_any(seed, interleaving, waits=True) != expected
        ]

    assert wrong == []
