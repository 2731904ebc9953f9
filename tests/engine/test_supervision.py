"""Policies of works: retries, timeouts, restarts, `max_running`; stop and run again."""

from __future__ import annotations

import random
import re
from unittest.mock import Mock

import pytest

from lightning_lite import timeouts
from lightning_lite.errors import (
    ArgumentError,
    ComponentError,
    RestartLimitReached,
    WorkCrashed,
    WorkLost,
    WorkStartFailed,
    WorkTimeout,
)
from lightning_lite.main_messages import WorkExited
from lightning_lite.messages import Failure, StartFailed
from lightning_lite.process_places import Place
from lightning_lite.tree.cloud import BuildConfig, CloudCompute
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.pickling import unpack

from tests.support.flows import run_once
from tests.support.simulation import (
    KillWork,
    MachineDriver,
    RunCall,
    ScriptedFlow,
    StartWork,
    StopWork,
    Work,
    WorkStarted,
    kinds,
    only,
    play,
    stages,
)

# Further attempts.


def test_without_retries_a_call_is_attempted_once():
    driver = play(run_once, work=Work(parallel=True, raise_exception=False))
    driver.fail("root.work")
    driver.advance(3600)

    assert len(only(driver.sent, RunCall)) == 1


def test_a_failed_attempt_is_followed_by_another_after_the_delay():
    driver = play(run_once, work=Work(parallel=True, retries=1, retry_delay=2.0))
    driver.fail("root.work")
    assert stages(driver.root.work.call(1).statuses) == ["pending", "running", "failed", "pending"]
    assert not driver.root.work.call(1).ended

    assert only(driver.advance(1.9), RunCall) == []
    (again,) = only(driver.advance(0.2), RunCall)

    assert again.attempt == 2
    driver.answer("root.work", "at last")
    assert driver.root.work.call(1).value == "at last"
    assert (driver.root.work.num_failures, driver.root.work.num_successes) == (1, 1)


@pytest.mark.parametrize(
    ("retry_delay", "delays"),
    [(1.0, [1, 2, 4, 8, 16, 32, 60, 60]), (0.5, [0.5, 1, 2, 4]), (100, [60, 60]), (0, [0, 0])],
)
def test_the_delay_doubles_from_attempt_to_attempt_up_to_60_seconds(retry_delay, delays):
    driver = play(run_once, work=Work(parallel=True, retries=len(delays), retry_delay=retry_delay))

    found = []
    for _ in delays:
        failed_at = driver.clock.now().monotonic
        driver.fail("root.work")
        wake_at = driver.machine.wake_at
        found.append(0 if wake_at is None else wake_at - failed_at)
        driver.advance(found[-1])

    assert found == delays


def test_the_last_failure_counts_when_no_attempt_is_left():
    driver = play(run_once, work=Work(parallel=True, retries=2, retry_delay=1))
    for number in range(3):
        driver.fail("root.work", ValueError(f"attempt {number}"))
        driver.advance(60)

    assert str(driver.machine.error) == "attempt 2"
    assert driver.root.work.num_failures == 3
    assert [status.count for status in driver.root.work.call(1).statuses if status.stage == "failed"] == [
        1,
        2,
        3,
    ]


def test_a_call_that_waits_for_its_next_attempt_does_not_end_the_app():
    driver = play(run_once, work=Work(parallel=True, retries=1))
    driver.fail("root.work")

    assert not driver.machine.ended
    assert not driver.machine.is_at_rest


def test_each_attempt_starts_from_the_state_that_the_flow_knows():
    driver = play(run_once, work=Work(parallel=True, retries=1))
    driver.change("root.work", loss=0.5)
    driver.exit("root.work")
    (start,) = only(driver.advance(1), StartWork)

    assert unpack(start.work_side)._work.loss == 0.5


def test_no_timer_fires_while_the_process_of_another_attempt_starts():
    driver = play(run_once, work=Work(parallel=True, retries=1))
    driver.exit("root.work")
    driver.advance(1.0)

    assert driver.machine.wake_at is None


def test_an_attempt_that_a_restart_cut_did_not_fail():
    def run(flow):
        flow.work.run(1)
        if flow.work.step == 1:
            flow.work.step = 2
            flow.work.restart()

    driver = play(run, work=Work(parallel=True, retries=1))
    driver.change("root.work", step=1)
    driver.exit("root.work", 0)
    driver.up("root.work")
    driver.fail("root.work")

    assert not driver.machine.ended
    assert driver.machine.wake_at == driver.clock.now().monotonic + 1.0


# Time limits.


def test_an_attempt_that_takes_too_long_is_killed_and_has_failed_by_timeout():
    driver = play(run_once, work=Work(parallel=True, timeout=10, raise_exception=False))
    assert driver.machine.wake_at == 10.0
    assert driver.advance(9.9) == []

    assert kinds(driver.advance(0.1)) == [("KillWork", "root.work")]
    driver.exit("root.work")

    work = driver.root.work
    assert work.has_timeout
    assert (work.status.reason, work.num_timeouts, work.num_failures) == ("timeout", 1, 1)
    assert "root.work.run(1) took longer than its timeout of 10 s and was ended" in work.status.message


def test_a_time_limit_ends_the_app_with_work_timeout():
    driver = play(run_once, work=Work(parallel=True, timeout=0.5))
    driver.advance(0.5)
    driver.exit("root.work")

    assert type(driver.machine.error) is WorkTimeout


def test_the_time_limit_is_for_each_attempt():
    driver = play(run_once, work=Work(parallel=True, timeout=10, retries=1, retry_delay=1))
    driver.advance(10)
    driver.exit("root.work")
    driver.advance(1)
    driver.up("root.work")

    assert only(driver.advance(9), KillWork) == []
    assert only(driver.advance(1), KillWork) == [KillWork("root.work")]


def test_the_time_limit_does_not_count_the_wait_for_the_process():
    driver = MachineDriver(ScriptedFlow(run_once, work=Work(parallel=True, timeout=10)))
    driver.advance(100)
    driver.up("root.work")

    assert driver.machine.wake_at == 110.0


def test_an_answer_that_comes_before_the_kill_counts():
    driver = play(run_once, work=Work(parallel=True, timeout=10))
    driver.advance(10)
    driver.answer("root.work", "just in time")
    driver.exit("root.work")

    assert driver.root.work.call(1).value == "just in time"
    assert not driver.machine.ended


def test_a_kill_for_a_time_limit_is_no_death_that_counts_for_the_restart_limit():
    driver = play(run_once, work=Work(parallel=True, timeout=1, retries=20, retry_delay=0, max_restarts=0))
    for _ in range(10):
        driver.advance(1)
        driver.exit("root.work")
        driver.up("root.work")

    assert not driver.machine.ended
    assert len(only(driver.sent, StartWork)) == 11


# How often a process is replaced.


def test_a_process_that_dies_too_often_ends_the_app():
    driver = play(run_once, work=Work(parallel=True, retries=100, retry_delay=0, max_restarts=2))
    for _ in range(2):
        driver.exit("root.work")
        driver.advance(0)
        driver.up("root.work")
    assert not driver.machine.ended

    driver.exit("root.work")
    driver.advance(0)

    # Its newest status is that of the attempt that waits; the message is that of the death.
    error = driver.machine.error
    assert type(error) is RestartLimitReached
    assert error.reason == "crashed"
    assert re.fullmatch(
        r"The process of root\.work died 3 times within 60 s \(max_restarts=2; if such deaths are expected, "
        r"give the work a higher one\); last: The process of root\.work \(pid \d+\) ended with SIGKILL "
        r"\(signal 9\) after .* in root\.work\.run\(.*\)",
        str(error),
    )
    assert len(only(driver.sent, StartWork)) == 3


def test_deaths_that_are_older_than_the_period_do_not_count():
    driver = play(
        run_once, work=Work(parallel=True, retries=100, retry_delay=0, max_restarts=1, restart_period=10)
    )
    for _ in range(20):
        driver.exit("root.work")
        driver.advance(10)
        driver.up("root.work")

    assert not driver.machine.ended


@pytest.mark.parametrize(
    "seeds", [range(150), pytest.param(range(150, 1000), marks=pytest.mark.torture)], ids=str
)
def test_a_work_is_started_as_often_as_the_policy_says_in_any_course(seeds: range):
    """P4: `max_restarts=n` within the period starts the work at most n+1 times, then the app ends."""
    extra = []
    for seed in seeds:
        rng = random.Random(seed)
        limit, period = rng.randrange(4), rng.choice([1.0, 5.0, 60.0])
        work = Work(parallel=True, retries=10**6, retry_delay=0, max_restarts=limit, restart_period=period)
        driver = play(run_once, work=work)
        deaths = []
        for _ in range(40):
            driver.clock.advance(rng.choice([0.0, period / 10, period / 3, period, 2 * period]))
            now = driver.clock.now().monotonic
            deaths = [death for death in deaths if death > now - period] + [now]
            starts = len(only(driver.sent, StartWork))
            if rng.random() < 0.3:
                driver.fail_start("root.work")
            else:
                driver.exit("root.work", rng.choice([-9, -11, 0, 3]))
            driver.advance(0)
            started = len(only(driver.sent, StartWork)) - starts
            if started != (len(deaths) <= limit) or driver.machine.ended == bool(started):
                extra.append((seed, len(deaths), limit, started))
            if driver.machine.ended:
                assert type(driver.machine.error) is RestartLimitReached
                break
            if rng.random() < 0.8:
                driver.up("root.work")

    assert extra == []


# Deaths without a call.


def test_a_death_while_idle_is_seen_and_the_next_call_starts_another_process():
    driver = play(lambda flow: flow.go and flow.work.run(1), work=Work(parallel=True), go=False)
    driver.exit("root.work")

    work = driver.root.work
    assert not driver.machine.ended
    assert (work.status.stage, work.status.reason) == ("failed", "crashed")
    assert "while idle" in work.status.message

    driver.root.go = True
    assert kinds(driver.settle()) == [("StartWork", "root.work")]
    assert kinds(driver.up("root.work")) == [("RunCall", "root.work")]


def test_a_death_and_an_attempt_that_is_repeated_are_logged_as_warnings(caplog):
    driver = play(run_once, work=Work(parallel=True, retries=1, retry_delay=2.0, raise_exception=False))
    driver.fail("root.work")
    driver.advance(2.0)
    driver.fail("root.work")
    driver.exit("root.work")

    attempt, death = (line.getMessage() for line in caplog.records if line.levelname == "WARNING")
    assert attempt == "ValueError: no good, attempt 1 of 2; the next one follows in 2.0 s"
    assert re.fullmatch(r"The process of root\.work .* while idle; the next call starts a new process", death)


def test_a_work_whose_process_is_gone_answers_nowhere():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True, retries=1, retry_delay=0.0))
    driver.change("root.work", _url="http://127.0.0.1:80")

    (start,) = driver.exit("root.work")

    assert driver.root.work.url == ""
    assert unpack(start.work_side)._work.url == ""


def test_a_death_while_idle_does_not_touch_a_call_that_waits():
    driver = play(
        lambda flow: [work.run() for work in flow.works()],
        max_running=1,
        a=Work(parallel=True),
        b=Work(parallel=True),
    )
    driver.exit("root.b")

    assert driver.root.b.is_pending
    assert not driver.root.b.call().ended
    assert kinds(driver.sent)[-1] == ("StartWork", "root.b")


def test_a_work_that_can_not_start_ends_the_app_even_without_a_call():
    driver = MachineDriver(ScriptedFlow(lambda flow: None, work=Work()))
    driver.fail_start("root.work", "No module named 'torhc'")

    assert type(driver.machine.error) is WorkStartFailed
    assert "torhc" in str(driver.machine.error)


def test_a_call_whose_process_can_not_start_has_failed():
    driver = MachineDriver(ScriptedFlow(run_once, work=Work(parallel=True, raise_exception=False)))
    driver.fail_start("root.work")

    call = driver.root.work.call(1)
    assert call.ended
    assert driver.root.work.status.reason == "start_failed"
    assert stages(call.statuses) == ["pending", "failed"]


def test_a_death_at_the_start_without_a_word_is_a_failed_start():
    driver = MachineDriver(ScriptedFlow(run_once, work=Work(parallel=True, raise_exception=False)))
    driver.exit("root.work", -11)

    assert driver.root.work.status.reason == "start_failed"
    assert "while it started" in driver.root.work.status.message


LOST = WorkExited("root.work", None, lost="node n2 has not answered for 15 s")


def test_a_call_whose_node_is_lost_is_retried_like_that_of_a_crash():
    driver = MachineDriver(ScriptedFlow(run_once, work=Work(parallel=True, retries=1, retry_delay=0.0)))
    driver.settle(WorkStarted("root.work", Place("n2", 12)))

    sent = driver.settle(LOST)

    status = driver.root.work.call(1).statuses[-2]
    assert (status.stage, status.reason) == ("failed", "lost")
    assert status.message.startswith(
        "The process of root.work (pid 12 on n2) was lost after 0 ms in root.work.run(1)"
    )
    assert status.message.endswith(": node n2 has not answered for 15 s, attempt 1 of 2")
    assert kinds(sent) == [("StartWork", "root.work")]


def test_a_call_whose_node_is_lost_ends_the_app_after_the_last_attempt():
    driver = MachineDriver(ScriptedFlow(run_once, work=Work(parallel=True)))
    driver.settle(WorkStarted("root.work", Place("n2", 12)))
    driver.settle(LOST)

    assert type(driver.machine.error) is WorkLost
    assert driver.machine.error.reason == "lost"


def test_a_call_that_has_not_begun_when_its_process_is_lost_loses_no_attempt():
    driver = MachineDriver(ScriptedFlow(run_once, work=Work(parallel=True, max_restarts=1)))
    driver.settle()

    assert kinds(driver.settle(LOST)) == [("StartWork", "root.work")]
    assert kinds(driver.settle(WorkStarted("root.work", Place("n3", 13)))) == [("RunCall", "root.work")]
    assert driver.root.work.call(1).attempt == 1
    assert driver.machine.error is None


@pytest.mark.parametrize("says_so", [False, True])
def test_a_process_that_is_lost_while_it_starts_is_started_elsewhere(says_so):
    driver = MachineDriver(ScriptedFlow(lambda flow: None, work=Work(max_restarts=1)))
    reports = [StartFailed("root.work", Failure("lost", LOST.lost))] if says_so else []

    sent = driver.settle(*reports, LOST)

    assert driver.machine.error is None
    assert driver.root.work.status.reason == "lost"
    assert "pid" not in driver.root.work.status.message
    assert kinds(sent) == [("StartWork", "root.work")]

    driver.settle(*reports, LOST)
    assert type(driver.machine.error) is RestartLimitReached
    assert LOST.lost in str(driver.machine.error)


def test_a_work_that_can_not_travel_is_refused_before_anything_is_sent():
    work = Work()
    work._held = (item for item in ())

    with pytest.raises(
        ArgumentError, match=r"root\.work can't be sent.*attribute '_held'.*on_start\(\) or run\(\)"
    ):
        MachineDriver(ScriptedFlow(lambda flow: None, work=work))


# How many at once.


def four(**kwargs):
    return {f"w{number}": Work(parallel=True, **kwargs) for number in range(4)}


def test_max_running_limits_how_many_works_run_a_call_at_once():
    driver = play(lambda flow: [work.run() for work in flow.works()], max_running=2, **four())
    assert [message.work for message in only(driver.sent, RunCall)] == ["root.w0", "root.w1"]

    assert kinds(driver.answer("root.w1")) == [("RunCall", "root.w2")]
    assert kinds(driver.answer("root.w0")) == [("RunCall", "root.w3")]


def test_works_that_wait_for_a_place_get_it_in_the_order_in_which_they_began_to_wait():
    def run(flow):
        for work in flow.works():
            work.run(1)
        flow.a.run(2)

    driver = play(run, max_running=1, **{name: Work(parallel=True) for name in "abc"})
    turns = [driver.sent[-1].work]
    for _ in range(3):
        driver.answer(turns[-1])
        turns.append(driver.sent[-1].work)

    assert turns == ["root.a", "root.b", "root.c", "root.a"]


def test_no_call_begins_after_the_failure_that_ends_the_app():
    driver = play(lambda flow: [work.run() for work in flow.works()], max_running=2, **four())

    assert kinds(driver.exit("root.w0")) == []
    assert type(driver.machine.error) is WorkCrashed


def test_a_place_is_free_again_however_a_call_ends():
    driver = play(
        lambda flow: [work.run() for work in flow.works()], max_running=1, **four(raise_exception=False)
    )

    driver.answer("root.w0")
    driver.fail("root.w1")
    driver.exit("root.w2")

    assert driver.root.w3.is_running


def test_a_work_that_waits_for_its_next_attempt_holds_no_place():
    works = {"a": Work(parallel=True, retries=1), "b": Work(parallel=True)}
    driver = play(lambda flow: [work.run() for work in flow.works()], max_running=1, **works)

    driver.fail("root.a")

    assert driver.root.b.is_running


@pytest.mark.parametrize("seed", range(8))
def test_never_more_than_max_running_run_and_no_place_stays_empty(seed):
    rng = random.Random(seed)
    limit = rng.randrange(1, 4)
    works = {
        f"w{number}": Work(parallel=True, retries=3, retry_delay=0.5, raise_exception=False)
        for number in range(6)
    }
    driver = play(
        lambda flow: [work.run(n) for work in flow.works() for n in range(5)], max_running=limit, **works
    )

    for _ in range(300):
        running = [
            work.name
            for work in driver.root.works()
            if driver.machine._supervisors._supervisors[work.name].running
        ]
        ready = [
            name
            for name, found in driver.machine._supervisors._supervisors.items()
            if found.is_ready(driver.clock.now())
        ]
        assert len(running) <= limit
        assert len(running) == limit or not ready
        if running and rng.random() < 0.8:
            getattr(driver, rng.choice(["answer", "answer", "fail"]))(rng.choice(running))
        else:
            driver.advance(1.0)

    assert all(work.call(n).ended for work in driver.root.works() for n in range(5))


# Stopping.


def run_and_stop(flow):
    flow.work.run(1)
    flow.work.run(2)
    if flow.work.step == 1:
        flow.work.step = 2
        flow.work.stop()


def stopped_driver(**kwargs):
    driver = play(run_and_stop, work=Work(parallel=True, **kwargs))
    driver.change("root.work", step=1)
    return driver


def test_stop_sends_a_request_and_the_status_is_stopped_after_the_exit():
    driver = stopped_driver()
    assert StopWork("root.work", timeouts.STOP_TIMEOUT) in driver.sent
    assert not driver.root.work.has_stopped

    driver.exit("root.work", 0)

    assert driver.root.work.has_stopped


def test_a_call_cut_by_a_stop_has_ended_as_stopped_and_is_not_run_again():
    driver = stopped_driver()
    driver.exit("root.work", 0)
    driver.change("root.work", loss=1.0)

    for number in (1, 2):
        call = driver.root.work.call(number)
        assert (call.ended, call.succeeded, call.value) == (True, False, None)
        assert call.statuses[-1].stage == "stopped"
        assert call.failure.reason == "stopped"
    assert len(only(driver.sent, StartWork)) == 1
    assert not driver.machine.ended


def test_the_last_changes_before_a_stop_arrive():
    driver = stopped_driver()
    driver.change("root.work", loss=0.25)
    driver.exit("root.work", 0)

    assert driver.root.work.loss == 0.25


def test_a_call_that_succeeds_while_it_is_being_stopped_has_succeeded():
    driver = stopped_driver()
    driver.answer("root.work", "done")
    driver.exit("root.work", 0)

    assert driver.root.work.call(1).value == "done"
    assert driver.root.work.call(2).failure.reason == "stopped"


def test_an_attempt_that_fails_while_it_is_being_stopped_is_not_followed_by_another():
    driver = stopped_driver(retries=5)
    driver.fail("root.work")
    driver.exit("root.work", 0)
    driver.advance(60)

    assert driver.root.work.call(1).failure.reason == "stopped"
    assert len(only(driver.sent, StartWork)) == 1
    assert driver.machine.is_at_rest


def test_stopping_ends_the_time_limit_of_the_call_that_it_cuts():
    driver = stopped_driver(timeout=1.0)

    assert only(driver.advance(2.0), KillWork) == []


def test_stopping_twice_is_one_stop():
    def run(flow):
        flow.work.run(1)
        flow.work.stop()
        flow.work.stop()

    driver = play(run, work=Work(parallel=True))
    driver.exit("root.work", 0)
    driver.exit("root.work", 0)

    assert len(only(driver.sent, StopWork)) == 1


@pytest.mark.parametrize("verb", ["stop", "restart"])
@pytest.mark.parametrize("timeout", ["5", -1, float("inf"), float("nan"), True])
def test_a_time_to_stop_that_makes_no_sense_is_refused(verb, timeout):
    with pytest.raises(ComponentError, match="timeout is a number of seconds"):
        play(lambda flow: getattr(flow.work, verb)(timeout), work=Work())


def test_a_work_that_never_ran_can_be_stopped():
    def run(flow):
        flow.work.stop()

    driver = MachineDriver(ScriptedFlow(run, work=Work(start_with_flow=False)))

    assert driver.root.work.has_stopped
    assert driver.sent == []


def test_a_flow_that_stops_a_work_in_each_pass_comes_to_rest():
    def run(flow):
        flow.work.run(1)
        if flow.work.has_succeeded:
            flow.work.stop()
        flow.seen = flow.work.has_stopped

    driver = play(run, work=Work(parallel=True), seen=None)
    driver.answer("root.work")
    driver.exit("root.work", 0)

    assert driver.root.seen is True
    assert driver.machine.is_at_rest


def test_kill_ends_the_process_at_once_also_after_a_stop():
    def run(flow):
        flow.work.run(1)
        if flow.work.step == 1:
            flow.work.step = 2
            flow.work.stop()
            flow.work.kill()

    driver = play(run, work=Work(parallel=True))
    driver.change("root.work", step=1)

    ends = [message for message in driver.sent if isinstance(message, StopWork | KillWork)]
    assert kinds(ends) == [("StopWork", "root.work"), ("KillWork", "root.work")]
    driver.exit("root.work", -9)
    assert driver.root.work.has_stopped


def test_stop_works_stops_several_at_once():
    def run(flow):
        flow.stop_works(flow.works(), timeout=1.5)

    driver = play(run, a=Work(), b=Work())

    assert only(driver.sent, StopWork) == [StopWork("root.a", 1.5), StopWork("root.b", 1.5)]


def test_a_stop_while_the_process_starts_ends_it():
    def run(flow):
        flow.work.run(1)
        flow.work.stop()

    driver = MachineDriver(ScriptedFlow(run, work=Work(parallel=True)))
    assert kinds(driver.sent) == [("StartWork", "root.work"), ("StopWork", "root.work")]

    driver.up("root.work")
    driver.exit("root.work", 0)

    assert only(driver.sent, RunCall) == []
    assert driver.root.work.call(1).failure.reason == "stopped"


# Running again.


def test_a_call_with_other_arguments_starts_a_new_process_after_a_stop():
    def run(flow):
        flow.work.run(1)
        if flow.work.step == 1:
            flow.work.step = 2
            flow.work.stop()
            flow.work.run("other")

    driver = play(run, work=Work(parallel=True))
    driver.change("root.work", step=1)
    assert len(only(driver.sent, StartWork)) == 1

    assert kinds(driver.exit("root.work", 0)) == [("StartWork", "root.work")]
    assert driver.root.work.is_pending
    assert not driver.root.work.has_stopped

    driver.up("root.work")
    assert driver.arguments("root.work") == (("other",), {})


def test_a_remembered_answer_starts_no_process_after_a_stop():
    def run(flow):
        flow.value = flow.work.run(1)
        if flow.value and not flow.work.has_stopped:
            flow.work.stop()

    driver = play(run, work=Work(parallel=True), value=None)
    driver.answer("root.work", "kept")
    driver.exit("root.work", 0)
    driver.change("root.work", loss=1.0)

    assert driver.root.value == "kept"
    assert len(only(driver.sent, StartWork)) == 1


def test_without_the_cache_a_stopped_work_runs_again():
    def run(flow):
        flow.work.run(1)
        if flow.work.step == 1:
            flow.work.step = 2
            flow.work.stop()

    driver = play(run, work=Work(parallel=True, cache_calls=False))
    driver.change("root.work", step=1)
    driver.exit("root.work", 0)

    assert kinds(driver.sent)[-1] == ("StartWork", "root.work")


def run_and_restart(flow):
    flow.work.run(1)
    if flow.work.step == 1:
        flow.work.step = 2
        flow.work.restart(timeout=3.0)


def test_restart_ends_the_process_starts_another_and_runs_the_call_that_it_cut_again():
    driver = play(run_and_restart, work=Work(parallel=True))
    driver.change("root.work", step=1)
    assert StopWork("root.work", 3.0) in driver.sent

    assert kinds(driver.exit("root.work", 0)) == [("StartWork", "root.work")]
    assert driver.root.work.is_pending
    assert kinds(driver.up("root.work")) == [("RunCall", "root.work")]
    driver.answer("root.work", "second time")

    assert driver.root.work.call(1).value == "second time"
    assert driver.root.work.num_failures == 0


def test_restart_of_an_idle_work_gives_a_fresh_process():
    driver = play(lambda flow: flow.go and flow.work.restart(), work=Work(), go=False)
    driver.root.go = True
    driver.settle()
    driver.root.go = False

    assert kinds(driver.exit("root.work", 0)) == [("StartWork", "root.work")]
    driver.up("root.work")
    assert driver.machine.is_at_rest


def test_restart_after_a_stop_starts_a_process_but_not_the_call_that_the_stop_cut():
    def run(flow):
        flow.work.run(1)
        if flow.work.step == 1:
            flow.work.step = 2
            flow.work.stop()
            flow.work.restart()

    driver = play(run, work=Work(parallel=True))
    driver.change("root.work", step=1)

    assert kinds(driver.exit("root.work", 0)) == [("StartWork", "root.work")]
    assert driver.up("root.work") == []
    assert driver.root.work.call(1).failure.reason == "stopped"


def test_a_call_after_a_stop_does_not_wait_for_the_delay_of_one_that_was_cut():
    def run(flow):
        flow.work.run(1)
        if flow.work.num_failures and not flow.has_stopped_it:
            flow.has_stopped_it = True
            flow.work.stop()
        elif flow.work.has_stopped:
            flow.work.run("other")

    driver = play(run, work=Work(parallel=True, retries=1, retry_delay=60), has_stopped_it=False)
    driver.fail("root.work")

    assert kinds(driver.exit("root.work", 0)) == [("StartWork", "root.work")]
    assert kinds(driver.up("root.work")) == [("RunCall", "root.work")]
    assert driver.arguments("root.work") == (("other",), {})


def test_a_call_does_not_wait_for_the_delay_of_one_that_could_not_start_again():
    def run(flow):
        flow.work.run(1)
        flow.work.run(2)
        if flow.work.num_failures == 1 and not flow.has_restarted_it:
            flow.has_restarted_it = True
            flow.work.restart()

    work = Work(parallel=True, raise_exception=False, retries=1, retry_delay=60)
    driver = play(run, work=work, has_restarted_it=False)
    driver.fail("root.work")
    driver.exit("root.work", 0)
    driver.fail_start("root.work")

    assert kinds(driver.up("root.work")) == [("RunCall", "root.work")]
    assert driver.arguments("root.work") == ((2,), {})


def test_an_interrupt_while_calls_are_stopped_leaves_none_open(monkeypatch):
    def run(flow):
        for number in range(4):
            flow.work.run(number)
        if flow.work.step == 1:
            flow.work.step = 2
            flow.work.stop()

    driver = play(run, work=Work(parallel=True))
    driver.change("root.work", step=1)
    with monkeypatch.context() as patch:
        patch.setattr(driver.machine._outbox, "emit", Mock(side_effect=[None, KeyboardInterrupt]))
        with pytest.raises(KeyboardInterrupt):
            driver.exit("root.work", 0)
    driver.machine.close(driver.clock.now())

    assert [driver.root.work.call(number).failure.reason for number in range(4)] == ["stopped"] * 4


def test_a_stop_after_a_restart_wins():
    def run(flow):
        flow.work.run(1)
        if flow.work.step == 1:
            flow.work.step = 2
            flow.work.restart()
            flow.work.stop()

    driver = play(run, work=Work(parallel=True))
    driver.change("root.work", step=1)

    assert driver.exit("root.work", 0) == []
    assert driver.root.work.has_stopped


def test_start_gives_a_process_without_a_call():
    driver = MachineDriver(ScriptedFlow(lambda flow: flow.work.start(), work=Work(start_with_flow=False)))
    assert kinds(driver.sent) == [("StartWork", "root.work")]

    driver.up("root.work")

    assert driver.root.work.status.stage == "started"
    assert driver.machine.is_at_rest


def test_start_of_a_work_that_is_up_does_nothing():
    driver = play(lambda flow: flow.work.start(), work=Work())

    assert len(only(driver.sent, StartWork)) == 1
    assert driver.machine.is_at_rest


def test_a_work_can_be_started_again_after_a_stop():
    def run(flow):
        flow.work.stop() if flow.turn == 0 else flow.work.start()

    driver = play(run, work=Work(), turn=0)
    driver.exit("root.work", 0)
    driver.root.turn = 1
    driver.settle()

    assert len(only(driver.sent, StartWork)) == 2


def test_a_process_that_comes_up_late_gets_no_call_after_the_stop():
    driver = stopped_driver()
    sent = driver.settle(WorkStarted("root.work", Place.of(7)))

    assert only(sent, RunCall) == []


# Arguments of the constructor.


@pytest.mark.parametrize(
    ("argument", "value", "expected"),
    [
        ("parallel", 1, "True or False"),
        ("cache_calls", "yes", "True or False"),
        ("raise_exception", None, "True or False"),
        ("start_with_flow", 0, "True or False"),
        ("retries", -1, "a whole number, 0 or more"),
        ("retries", 1.5, "a whole number, 0 or more"),
        ("retries", True, "a whole number, 0 or more"),
        ("max_restarts", -1, "a whole number, 0 or more"),
        ("retry_delay", -0.1, "a number of seconds, 0 or more"),
        ("retry_delay", float("nan"), "a number of seconds, 0 or more"),
        ("retry_delay", "1", "a number of seconds, 0 or more"),
        ("timeout", 0, "a number of seconds, more than 0"),
        ("timeout", float("inf"), "a number of seconds, more than 0"),
        ("restart_period", 0, "a number of seconds, more than 0"),
        ("restart_period", None, "a number of seconds, more than 0"),
        ("env", {"A": 1}, "a dict of strings"),
        ("env", {"A=B": "x"}, "a dict of strings"),
        ("env", {"A": "x\0"}, "a dict of strings"),
        ("env", ["A=B"], "a dict of strings"),
        ("cwd", 3, "the path of a folder"),
        ("call_key", "key", "a function"),
        ("port", "8000", "a whole number from 1 to 65535, or None"),
        ("port", 0, "a whole number from 1 to 65535, or None"),
        ("host", 3, "an address as text"),
        ("host", None, "an address as text"),
        ("cloud_compute", "cpu", "a CloudCompute"),
        ("cloud_compute", 0, "a CloudCompute"),
        ("cloud_compute", CloudCompute, "a CloudCompute"),
        ("cloud_build_config", 3, "a BuildConfig"),
        ("local_build_config", {"requirements": []}, "a BuildConfig"),
    ],
)
def test_an_argument_that_makes_no_sense_is_refused_with_its_name(argument, value, expected):
    with pytest.raises(
        ComponentError, match=rf"Work\({argument}=.*\): {argument} must be {expected}"
    ) as refusal:
        Work(**{argument: value})

    assert refusal.value.argument == argument


@pytest.mark.parametrize("name", ["cloud_compute", "cloud_build_config", "local_build_config"])
def test_a_setting_is_checked_when_it_is_set_later_too(name):
    with pytest.raises(ComponentError, match=rf"Work\({name}=3\): {name} must be a "):
        setattr(Work(), name, 3)


def test_an_attribute_error_of_the_configuration_of_a_user_is_that_error():
    class Own(BuildConfig):
        def on_work_init(self, work, cloud_compute=None):
            work.unknown  # noqa: B018

    with pytest.raises(AttributeError, match="no attribute 'unknown'"):
        Work(cloud_build_config=Own())


def test_environment_and_directory_travel_with_the_start(tmp_path):
    driver = MachineDriver(ScriptedFlow(lambda flow: None, work=Work(env={"A": "b"}, cwd=tmp_path)))

    (start,) = only(driver.sent, StartWork)
    assert (start.env, start.cwd) == ({"A": "b"}, str(tmp_path))


class Plain(LightningWork):
    def run(self):
        pass


def test_run_once_is_the_old_name_of_cache_calls():
    with pytest.warns(DeprecationWarning, match="run_once") as caught:
        assert Plain(run_once=False).cache_calls is False
    assert caught[0].filename == __file__  # though the user's class has no `__init__`


def test_a_work_has_the_defaults_of_lightning_app():
    work = Work()

    assert isinstance(work, LightningWork)
    assert (work.parallel, work.cache_calls, work.host, work.url) == (False, True, "127.0.0.1", "")
    assert (work._policy.retries, work._policy.retry_delay, work._policy.timeout) == (0, 1.0, None)
    assert (work._policy.max_restarts, work._policy.restart_period) == (3, 60.0)


# Reports of failures.


def test_the_message_of_a_failure_names_the_attempt_where_there_may_be_several():
    driver = play(run_once, work=Work(parallel=True, retries=1, retry_delay=1, raise_exception=False))
    driver.fail("root.work")
    driver.advance(1)
    driver.fail("root.work")

    failed = [status.message for status in driver.root.work.call(1).statuses if status.stage == "failed"]
    assert failed == ["ValueError: no good, attempt 1 of 2", "ValueError: no good, attempt 2 of 2"]


def test_the_exception_that_ends_the_app_names_the_call_and_the_attempt():
    driver = play(run_once, work=Work(parallel=True, retries=1, retry_delay=1))
    driver.fail("root.work")
    driver.advance(1)
    driver.fail("root.work")

    assert driver.machine.error.__notes__ == ["in root.work.run(1), attempt 2 of 2"]
    assert driver.machine.failed_work == "root.work"
