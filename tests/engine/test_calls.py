"""Calls: requested once, answered from the record, with values or failures."""

from __future__ import annotations

import inspect
import tracemalloc
from functools import partialmethod, wraps

import pytest

from lightning_lite.errors import (
    ArgumentError,
    DetachedError,
    InvalidValue,
    WorkCrashed,
    WorkFailed,
    WorkLost,
    WorkStartFailed,
    WorkTimeout,
)
from lightning_lite.events import WorkStatusChanged
from lightning_lite.messages import Failure
from lightning_lite.status import WorkStatus
from lightning_lite.tracebacks import RemoteTraceback
from lightning_lite.tree import calls
from lightning_lite.tree.work import LightningWork

from tests.support.simulation import MachineDriver, RunCall, ScriptedFlow, Work, kinds, only, play, stages
from tests.support.unpicklable import Leaves


def calls_sent(driver, work="root.work"):
    return [message for message in only(driver.sent, RunCall) if message.work == work]


# A call is run once.


def test_the_work_gets_the_arguments_of_the_flow():
    driver = play(lambda flow: flow.work.run(1, "two", three=[3.0]), work=Work())

    assert driver.arguments("root.work") == ((1, "two"), {"three": [3.0]})


def test_arguments_are_taken_as_they_are_at_the_moment_of_the_call():
    def run(flow):
        argument = [1]
        flow.work.run(argument)
        argument.append(2)

    driver = play(run, work=Work(parallel=True))

    assert driver.arguments("root.work") == (([1],), {})


def test_a_call_is_run_once_however_often_its_line_is_reached():
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True))

    for loss in range(5):
        driver.change("root.work", loss=float(loss))
    driver.answer("root.work")
    driver.change("root.work", loss=9.0)

    assert len(calls_sent(driver)) == 1


def test_equal_arguments_share_one_call():
    def run(flow):
        flow.values = [flow.work.run(1, x=[2]), flow.work.run(1, x=[2])]

    driver = play(run, work=Work(parallel=True), values=None)
    driver.answer("root.work", "once")

    assert driver.root.values == ["once", "once"]
    assert len(calls_sent(driver)) == 1


def test_other_arguments_are_another_call_and_wait_for_their_turn():
    def run(flow):
        for number in range(3):
            flow.work.run(number)

    driver = play(run, work=Work(parallel=True))
    assert driver.arguments("root.work") == ((0,), {})

    driver.answer("root.work")
    assert driver.arguments("root.work") == ((1,), {})
    driver.answer("root.work")

    assert [driver.machine.root.work.call(number).number for number in range(3)] == [1, 2, 3]
    assert driver.arguments("root.work") == ((2,), {})


def test_calls_of_several_works_run_side_by_side():
    driver = play(
        lambda flow: [work.run() for work in flow.works()], a=Work(parallel=True), b=Work(parallel=True)
    )

    assert sorted(message.work for message in only(driver.sent, RunCall)) == ["root.a", "root.b"]


def test_a_call_waits_for_its_process():
    driver = MachineDriver(ScriptedFlow(lambda flow: flow.work.run(), work=Work()))
    assert kinds(driver.sent) == [("StartWork", "root.work")]

    assert kinds(driver.up("root.work")) == [("RunCall", "root.work")]


def test_a_work_that_does_not_start_with_the_flow_starts_with_its_first_call():
    driver = MachineDriver(
        ScriptedFlow(lambda flow: flow.go and flow.work.run(), go=False, work=Work(start_with_flow=False))
    )
    assert driver.sent == []

    driver.root.go = True

    assert kinds(driver.settle()) == [("StartWork", "root.work")]


def test_one_call_is_one_request_and_one_pass():
    def run(flow):
        for number in range(10):
            flow.work.run(number)

    driver = play(run, work=Work())
    passes, sent = driver.machine.num_passes, len(driver.sent)

    for _ in range(9):
        driver.answer("root.work")

    assert driver.machine.num_passes == passes + 9
    assert len(driver.sent) == sent + 9


# Values come back.


def test_the_value_is_the_answer_once_the_call_has_ended():
    def run(flow):
        flow.value = flow.work.run(3)

    driver = play(run, work=Work(), value=None)
    driver.answer("root.work", {"nine": (9, [9.0])})

    assert driver.root.value == {"nine": (9, [9.0])}


def test_a_pending_parallel_call_answers_none():
    seen = []
    driver = play(lambda flow: seen.append(flow.work.run()), work=Work(parallel=True))

    driver.answer("root.work", 5)

    assert seen[0] is None
    assert seen[-1] == 5


def test_the_same_object_is_returned_at_each_pass():
    seen = []
    driver = play(lambda flow: seen.append(flow.work.run()), work=Work(parallel=True))
    driver.answer("root.work", [1, 2])
    driver.change("root.work", loss=1.0)

    assert seen[-1] is seen[-2]
    assert seen[-1] == [1, 2]


def test_none_is_an_answer_like_any_other():
    def run(flow):
        flow.work.run()
        flow.done = True

    driver = play(run, work=Work(), done=False)
    driver.answer("root.work", None)

    assert driver.root.done is True
    assert driver.root.work.has_succeeded


class Unreadable:
    def __reduce__(self):
        return int, ("no number",)


def test_an_answer_that_can_not_be_read_in_the_main_process_is_an_invalid_value():
    def run(flow):
        flow.work.run()

    driver = play(run, work=Work())

    with pytest.raises(
        InvalidValue, match=r"The value of root\.work\.run can't be unpickled in the main process: ValueError"
    ):
        driver.answer("root.work", Unreadable())


# Without the cache.


def test_without_the_cache_the_answer_is_given_once_and_the_flow_goes_on():
    seen = []

    def run(flow):
        seen.append(flow.work.run())

    driver = play(run, work=Work(cache_calls=False))
    driver.answer("root.work", "first")

    assert seen == ["first"]
    assert len(calls_sent(driver)) == 2

    driver.answer("root.work", "second")

    assert seen == ["first", "second"]
    assert len(calls_sent(driver)) == 3


def test_without_the_cache_a_pending_call_is_not_asked_again():
    driver = play(lambda flow: flow.work.run(), work=Work(cache_calls=False, parallel=True))

    driver.change("root.work", loss=1.0)
    driver.change("root.work", loss=2.0)

    assert len(calls_sent(driver)) == 1


def test_without_the_cache_a_value_counts_as_a_change_so_the_line_is_reached_again():
    def run(flow):
        if flow.total < 3 and flow.work.run() is not None:
            flow.total += 1

    driver = play(run, work=Work(cache_calls=False, parallel=True), total=0)
    for _ in range(3):
        driver.answer("root.work", True)

    assert driver.root.total == 3
    assert driver.machine.is_at_rest


# Used answers.


def in_turn(flow):
    value = flow.work.run(flow.next)
    if value is not None:
        flow.sizes, flow.next = [*flow.sizes, len(value)], flow.next + 1


@pytest.mark.parametrize("parallel", [False, True])
def test_a_used_answer_is_released_when_the_next_one_is_used_and_a_small_one_stays(parallel):
    driver = play(in_turn, work=Work(cache_calls=False, parallel=parallel), next=0, sizes=[])
    sizes = [1000, 2000, 100_000, 10, 50_000]
    for size in sizes:
        driver.answer("root.work", b"x" * size)

    work = driver.root.work
    assert driver.root.sizes == sizes
    assert [work.call(number).succeeded for number in range(5)] == [True] * 5
    assert [len(work.call(number).value or b"") for number in range(5)] == [1000, 0, 0, 10, 50_000]
    assert [len(work.call(number).statuses) for number in range(5)] == [3] * 5
    assert work.call(5).number == work.num_successes + 1 == 6


def test_an_older_answer_that_is_used_later_leaves_the_newest_one():
    def run(flow):
        if flow.total == 0:
            records = [flow.work.call(n) or flow.work.run(n) for n in range(3)]
            if all(record is not None and record.ended for record in records):
                flow.total = sum(len(flow.work.run(number)) for number in (0, 2, 1))

    driver = play(run, work=Work(cache_calls=False, parallel=True), total=0)
    for size in (1100, 1200, 1300):
        driver.answer("root.work", b"x" * size)

    assert driver.root.total == 3600
    assert [len(driver.root.work.call(number).value or b"") for number in range(3)] == [0, 1200, 1300]


def test_of_calls_with_used_answers_the_newest_records_stay(monkeypatch):
    monkeypatch.setattr(calls, "_MAX_USED", 20)
    driver = play(in_turn, work=Work(cache_calls=False), next=0, sizes=[])
    for _ in range(100):
        driver.answer("root.work", b"x")

    work = driver.root.work
    known = [number for number in range(101) if work.call(number) is not None]
    assert known == [*range(101 - len(known), 101)]
    assert 20 <= len(known) <= 22
    assert work.num_successes == 100


def test_the_same_call_again_and_again_leaves_one_record():
    def run(flow):
        if flow.work.run() is not None:
            flow.turn += 1

    driver = play(run, work=Work(cache_calls=False), turn=0)
    for _ in range(50):
        driver.answer("root.work", b"x" * 5000)

    records = driver.root.work._records
    assert driver.root.turn == 50
    assert len(records.current) == 1
    assert not records._all_used


# The record of a call.


def test_call_starts_nothing_and_gives_none_for_a_call_that_was_never_asked():
    driver = play(lambda flow: flow.work.call(1), work=Work())

    assert driver.root.work.call(1) is None
    assert calls_sent(driver) == []


def test_a_call_needs_little_memory_when_it_has_succeeded():
    driver = play(lambda flow: flow.work.run(flow.number), work=Work(), number=0)
    for _ in range(50):
        driver.answer("root.work", 1.5)
        driver.root.number += 1
        driver.settle()
    tracemalloc.start()
    before = tracemalloc.get_traced_memory()[0]
    for _ in range(2000):
        driver.answer("root.work", 1.5)
        driver.events.clear()
        driver.sent.clear()
        driver.root.number += 1
        driver.settle()
    used = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()

    assert used / 2000 < 500  # 560 with an object for each status
    call = driver.root.work.call(3)
    assert [(status.stage, status.count) for status in call.statuses] == [
        ("pending", 0),
        ("running", 1),
        ("succeeded", 1),
    ]


def test_the_record_of_a_call_has_all_its_statuses():
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True))
    call = driver.root.work.call(1)
    assert (call.ended, call.succeeded, call.value, call.error) == (False, False, None, None)

    driver.answer("root.work", "value")

    assert (call.ended, call.succeeded, call.value, call.error) == (True, True, "value", None)
    assert stages(call.statuses) == ["pending", "running", "succeeded"]


def test_the_record_of_a_failed_call_has_its_error():
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True, raise_exception=False))
    driver.fail("root.work", KeyError("lost"))

    call = driver.root.work.call(1)
    assert (call.ended, call.succeeded, call.value) == (True, False, None)
    assert isinstance(call.error, KeyError)
    assert stages(call.statuses) == ["pending", "running", "failed"]
    assert call.statuses[-1].traceback == "the traceback"


@pytest.mark.parametrize(
    ("reason", "kind"),
    [
        ("crashed", WorkCrashed),
        ("lost", WorkLost),
        ("timeout", WorkTimeout),
        ("start_failed", WorkStartFailed),
        ("invalid_value", InvalidValue),
        ("user_exception", WorkFailed),
    ],
)
def test_the_record_of_a_failed_call_without_an_exception_has_an_error_of_the_package(reason, kind):
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True, raise_exception=False))
    driver.settle(driver.ended("root.work", failure=Failure(reason, "what and where")))

    error = driver.root.work.call(1).error
    assert type(error) is kind
    assert (str(error), error.work, error.reason) == ("what and where", "root.work", reason)


def test_the_record_of_a_call_that_was_stopped_has_no_error():
    def run(flow):
        flow.work.run(1)
        if flow.work.step == 1:
            flow.work.stop()

    driver = play(run, work=Work(parallel=True))
    driver.change("root.work", step=1)
    driver.exit("root.work", 0)

    call = driver.root.work.call(1)
    assert (call.ended, call.error, stages(call.statuses)[-1]) == (True, None, "stopped")


def test_the_arguments_of_an_ended_call_are_dropped():
    driver = play(lambda flow: flow.work.run(b"x" * 1000), work=Work(parallel=True))
    driver.answer("root.work")

    assert driver.root.work.call(b"x" * 1000).arguments == b""


# The status is that of the newest call, from the moment the flow asked for it.


def test_the_status_is_that_of_the_newest_call_from_its_request_on():
    seen = []

    def run(flow):
        flow.work.run(1)
        if flow.work.call(1).ended:
            flow.work.run(2)
        seen.append((flow.work.has_succeeded, flow.work.status.stage))

    driver = play(run, work=Work(parallel=True))
    driver.answer("root.work")

    assert seen[-2:] == [(False, "pending"), (False, "running")]


def test_a_call_that_is_still_waiting_is_pending_though_its_process_has_started():
    driver = play(
        lambda flow: [work.run() for work in flow.works()],
        max_running=1,
        a=Work(parallel=True),
        b=Work(parallel=True),
    )

    assert driver.root.a.is_running
    assert driver.root.b.is_pending


def test_a_work_has_started_for_the_flow_from_the_moment_of_its_first_call():
    def run(flow):
        if not hasattr(flow, "work"):
            flow.work = Work(parallel=True)
        seen.append(flow.work.has_started)
        if not flow.work.has_started:
            flow.work.run(len(seen))
        seen.append(flow.work.has_started)
        flow.passes = min(flow.passes + 1, 3)  # more than one pass before the process is up

    seen: list[bool] = []
    work = MachineDriver(ScriptedFlow(run, passes=0)).root.work

    assert seen[:4] == [False, True, True, True]
    assert work.is_pending
    assert len(work._records.current) == 1


def test_statuses_go_from_not_started_to_succeeded():
    driver = MachineDriver(ScriptedFlow(lambda flow: flow.go and flow.work.run(), go=False, work=Work()))
    work = driver.root.work
    assert work.status.stage == "not_started"
    assert not work.has_started

    driver.up("root.work")
    assert work.status.stage == "started"
    assert work.has_started

    driver.root.go = True
    driver.settle()
    assert work.is_running

    driver.answer("root.work")
    assert work.has_succeeded
    assert stages(work.statuses) == ["started", "pending", "running", "succeeded"]
    assert work.num_successes == 1


def test_a_flow_that_has_read_a_status_runs_again_when_it_changes():
    seen = []

    def run(flow):
        flow.work.run()
        seen.append(flow.work.status.stage)

    driver = MachineDriver(ScriptedFlow(run, work=Work(parallel=True)))
    driver.up("root.work")
    driver.answer("root.work")

    assert seen[-1] == "succeeded"
    assert "running" in seen


def test_a_flow_that_has_read_the_record_of_a_call_runs_again_when_that_changes():
    seen = []

    def run(flow):
        if flow.go:
            flow.work.run()
            seen.append(flow.work.call().statuses[-1].stage)

    driver = play(run, work=Work(parallel=True), go=False)
    driver.root.go = True
    driver.settle()

    assert seen[-1] == "running"


def test_a_work_may_be_stopped_and_started_for_months():
    records = Work()._records
    for number in range(3000):
        records.apply(WorkStatusChanged("root.work", float(number), WorkStatus("started", float(number))))

    assert len(records.process_statuses) == 1000
    assert records.status.timestamp == 2999.0


def test_timestamps_are_those_of_the_clock():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True))
    driver.clock.advance(2.5)
    driver.answer("root.work")

    pending, running, succeeded = driver.root.work.call().statuses
    assert succeeded.timestamp - running.timestamp == 2.5
    assert pending.timestamp == 1_700_000_000.0


# Failures.


def test_a_failure_ends_the_app_with_the_works_own_exception_and_its_traceback_as_the_cause():
    driver = play(lambda flow: flow.work.run(), work=Work())
    driver.fail("root.work", KeyError("lost"))

    assert driver.machine.ended
    assert isinstance(driver.machine.error, KeyError)
    assert isinstance(driver.machine.error.__cause__, RemoteTraceback)
    assert "the traceback" in str(driver.machine.error.__cause__)


def test_a_failure_ends_the_app_at_once_without_another_pass():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True))
    passes = driver.machine.num_passes

    driver.fail("root.work")

    assert driver.machine.num_passes == passes


def test_without_raise_exception_the_call_has_ended_and_the_flow_goes_on():
    def run(flow):
        flow.value = flow.work.run()
        flow.after = (flow.work.has_failed, flow.work.status.reason, flow.work.status.message)

    driver = play(run, work=Work(raise_exception=False), value=5, after=None)
    driver.fail("root.work")

    assert not driver.machine.ended
    assert driver.root.value is None
    assert driver.root.after == (True, "user_exception", "ValueError: no good")
    assert driver.root.work.num_failures == 1


def test_a_failed_call_is_not_run_again():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True, raise_exception=False))
    driver.fail("root.work")
    driver.change("root.work", loss=1.0)

    assert len(calls_sent(driver)) == 1


@pytest.mark.parametrize(
    ("raise_exception", "captured", "goes_on"), [(True, True, True), (False, False, False)]
)
def test_on_exception_has_the_last_word(raise_exception, captured, goes_on):
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True, raise_exception=raise_exception))
    driver.fail("root.work", captured=captured)

    assert driver.machine.ended is not goes_on


def test_an_exception_that_does_not_come_back_becomes_a_work_failed_with_its_text():
    driver = play(lambda flow: flow.work.run(), work=Work())
    gone = Failure("user_exception", "Gone: 1 and 2", error=b"cno_such_module\nGone\n.")
    driver.settle(driver.ended("root.work", failure=gone))

    assert type(driver.machine.error) is WorkFailed
    assert str(driver.machine.error) == "Gone: 1 and 2"
    assert driver.machine.error.work == "root.work"


def test_an_invalid_value_has_its_own_error():
    driver = play(lambda flow: flow.work.run(), work=Work())
    driver.settle(driver.ended("root.work", failure=Failure("invalid_value", "it can't travel")))

    assert type(driver.machine.error) is InvalidValue


@pytest.mark.parametrize(
    ("exitcode", "detail", "message"),
    [
        (
            -9,
            "",
            r"The process of root\.work \(pid 100\) ended with .*SIGKILL.* after 3\.2 s in root\.work\.run",
        ),
        (-11, "", r"SIGSEGV"),
        (3, "", r"exit code 3"),
        (0, "", r"exit code 0"),
        (-9, "out of memory", r"\(out of memory\)"),
    ],
)
def test_a_crash_says_who_and_how_and_after_how_long_and_in_which_call(exitcode, detail, message):
    driver = play(lambda flow: flow.work.run(x=1), work=Work())
    driver.clock.advance(3.2)
    driver.exit("root.work", exitcode, detail)

    assert type(driver.machine.error) is WorkCrashed
    assert "\n" not in str(driver.machine.error)
    with pytest.raises(WorkCrashed, match=message):
        raise driver.machine.error


def test_a_crash_is_a_failed_call_with_a_reason():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True, raise_exception=False))
    driver.exit("root.work")

    work = driver.root.work
    assert work.has_failed
    assert work.status.reason == "crashed"
    assert work.call().ended


def test_an_answer_of_an_earlier_attempt_is_ignored():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True, retries=1, raise_exception=False))
    late = driver.ended("root.work", value=b"late")
    driver.exit("root.work")
    driver.advance(1.0)
    driver.up("root.work")

    driver.settle(late)

    assert not driver.root.work.call().ended


# Calls that are refused.


class Lock:
    def __reduce__(self):
        raise TypeError("a lock stays here")


@pytest.mark.parametrize(
    "make", [Lock, Leaves, lambda: (item for item in ())], ids=["lock", "leaves", "generator"]
)
def test_an_argument_that_can_not_travel_is_named_in_the_callers_line_and_no_call_is_made(make):
    def run(flow):
        with pytest.raises(ArgumentError, match=r"root\.work\.run: argument 'model'"):
            flow.work.run(1, model=make())
        flow.said = True

    driver = play(run, work=Work(), said=False)

    assert driver.root.said
    assert calls_sent(driver) == []


class Exact(LightningWork):
    def run(self, x, /, y, *, z, w=0):
        return x, y, z, w


class OfClass(LightningWork):
    @classmethod
    def run(cls, x):
        return x


class Static(LightningWork):
    @staticmethod
    def run(x):
        return x


@pytest.mark.parametrize(
    ("kind", "args", "kwargs", "why"),
    [
        (Exact, (1, 2, 3), {"z": 4}, r"too many positional arguments, for run\(x, /, y, \*, z, w=0\)"),
        (Exact, (1, 2), {}, r"missing a required .*argument: 'z', for run\(x, .*\)"),
        (Exact, (1,), {"z": 4}, r"missing a required argument: 'y', for run\(x, .*\)"),
        (Exact, (1, 2), {"z": 4, "lr": 5}, r"got an unexpected keyword argument 'lr', for run\(x, .*\)"),
        (Exact, (1, 2), {"z": 4, "y": 5}, r"multiple values for argument 'y', for run\(x, .*\)"),
        (OfClass, (1, 2), {}, r"too many positional arguments, for run\(x\)"),
        (Static, (1, 2), {}, r"too many positional arguments, for run\(x\)"),
    ],
)
def test_arguments_that_run_does_not_take_are_refused_in_the_callers_line(kind, args, kwargs, why):
    def run(flow):
        with pytest.raises(ArgumentError, match=rf"^root\.work\.run: {why}\. No call was made\.$"):
            flow.work.run(*args, **kwargs)
        flow.said = True

    driver = play(run, work=kind(), said=False)

    assert driver.root.said
    assert calls_sent(driver) == []


def plus_one(method):
    @wraps(method)
    def run(self, *args, **kwargs):
        return method(self, 1, *args, **kwargs)

    return run


class Decorated(LightningWork):
    @plus_one
    def run(self, x, y):
        return x + y


def with_three(method):
    @wraps(method)
    def run(self, y, *, z):
        return method(self, 3, y, z=z)

    return run


class OnTop(Exact):
    run = plus_one(with_three(Exact.run))


def with_the_same_signature(method):
    def run(self, *args, **kwargs):
        return method(self, 1, *args, **kwargs)

    run.__wrapped__, run.__signature__ = method, inspect.signature(method)
    return run


class Signed(LightningWork):
    @with_the_same_signature
    def run(self, x, y):
        return x + y


class Partial(LightningWork):
    def calculate(self, x, y):
        return x + y

    run = partialmethod(calculate, 1)


class Open(LightningWork):
    def run(self, x=0, *args, y=1, **kwargs):
        return lambda: (self, x, args, y, kwargs)  # its parameters are in cells


@pytest.mark.parametrize(
    ("kind", "args", "kwargs"),
    [
        (Exact, (1, 2), {"z": 3}),
        (Exact, (1,), {"w": 4, "z": 3, "y": 2}),
        (OfClass, (1,), {}),
        (Static, (), {"x": 1}),
        (Decorated, (2,), {}),
        (OnTop, (), {"z": 3}),
        (Partial, (2,), {}),
        (Signed, (2,), {}),
        (Open, (), {}),
        (Open, (1, 2, 3), {"y": 4, "self_": 5}),
    ],
)
def test_arguments_that_run_takes_are_not_refused_however_it_is_made(kind, args, kwargs):
    driver = play(lambda flow: flow.work.run(*args, **kwargs), work=kind(parallel=True))

    assert len(calls_sent(driver)) == 1


def test_a_call_key_of_the_works_own_decides_which_calls_are_the_same():
    def run(flow):
        flow.values = [flow.work.run(1, noise=object()), flow.work.run(1, noise=object())]

    driver = play(run, work=Work(call_key=lambda x, noise: x, parallel=True), values=None)
    driver.answer("root.work", 7)

    assert driver.root.values == [7, 7]
    assert len(calls_sent(driver)) == 1


# Stand-alone, and detached.


class Square(LightningWork):
    def __init__(self):
        super().__init__()
        self.num_calls = 0

    def run(self, x):
        self.num_calls += 1
        return x * x


def test_without_an_app_run_is_the_users_method_with_no_cache_and_no_status():
    work = Square()

    assert [work.run(3), work.run(3)] == [9, 9]
    assert work.num_calls == 2
    assert work.status.stage == "not_started"
    assert work.call(3) is None


def test_a_flow_runs_without_an_app():
    seen = []
    flow = ScriptedFlow(lambda flow: seen.append(flow.work.run(4)), work=Square())

    flow.run()

    assert seen == [16]


def test_a_work_that_is_in_no_flow_can_not_be_run_by_one():
    loose = Square()

    with pytest.raises(
        DetachedError, match=r"Failed to create process for Square.*attribute of a LightningFlow"
    ):
        play(lambda flow: loose.run(1))


@pytest.mark.parametrize("verb", ["start", "stop", "kill", "restart"])
def test_only_a_flow_in_an_app_can_ask_for_the_process(verb):
    with pytest.raises(
        DetachedError, match=rf"Only the LightningFlow can request this work \('Square'\) to {verb}"
    ):
        getattr(Square(), verb)()


def test_deleting_a_work_that_is_not_attached_is_refused():
    with pytest.raises(
        DetachedError, match=r"Can't delete the work, because it isn't attached to a LightningFlow"
    ):
        Square().delete()


class Mixin:
    def run(self):
        raise AssertionError("run in the flow's process")


class Mixed(Mixin, LightningWork):
    pass


def test_a_run_that_comes_from_a_plain_class_is_a_call_too():
    driver = play(lambda flow: flow.work.run(), work=Mixed())

    assert len(calls_sent(driver)) == 1


class SquareAndOne(Square):
    def run(self, x):
        return super().run(x) + 1


def test_a_work_that_builds_on_another_asks_for_one_call():
    driver = play(lambda flow: flow.work.run(2), work=SquareAndOne())

    assert len(calls_sent(driver)) == 1
    assert SquareAndOne().run(2) == 5
