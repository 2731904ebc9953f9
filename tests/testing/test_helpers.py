"""The helpers that users test their apps with."""

from __future__ import annotations

import pytest
from helper_works import Square

from lightning_lite import LightningApp, timeouts
from lightning_lite.testing import (
    EmptyFlow,
    EmptyWork,
    LightningTestApp,
    ManualClock,
    poll_until,
    run_work_isolated,
)
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.work import LightningWork

from tests.support.processes import DEADLINE
from tests.support.waiting_works import Never


class Count(LightningFlow):
    def __init__(self):
        super().__init__()
        self.counter = 0

    def run(self):
        self.counter += 1


def test_the_empty_components_do_nothing():
    flow = EmptyFlow()
    flow.run()

    assert EmptyWork().run() is None
    assert flow.state["vars"] == {}


def test_one_work_runs_alone_and_reports_what_happened():
    work = Square()

    assert run_work_isolated(work, 7, runner="inline") == 49
    assert work.has_succeeded
    assert work.seen == 7
    assert work.num_successes == 1


@pytest.mark.parametrize(("runner", "numbers"), [("inline", [2, 3, 3]), ("processes", [3])])
def test_one_work_runs_alone_several_times(runner, numbers):
    work = Square(raise_exception=False)

    assert run_work_isolated(work, -1, runner=runner) is None
    assert work.has_failed
    squares = [run_work_isolated(work, number, runner=runner) for number in numbers]
    assert squares == [number * number for number in numbers]
    assert (work.has_succeeded, work.seen) == (True, 3)


def test_a_parallel_work_runs_alone_too():
    assert run_work_isolated(Square(parallel=True), 3, runner="inline") == 9


@pytest.mark.dependencies
@pytest.mark.parametrize("start_server", [True, False])
def test_a_work_that_runs_alone_may_have_a_page(start_server, capfd, monkeypatch):
    # So that the page is not killed before it has printed its address.
    monkeypatch.setattr(timeouts, "PROGRAM_STOP_TIMEOUT", DEADLINE)

    assert run_work_isolated(Square(), 3, runner="inline", start_server=start_server) == 9

    assert ("The page of this run: http://" in capfd.readouterr().err) is start_server


def test_the_exception_of_a_work_that_runs_alone_is_raised():
    with pytest.raises(ValueError, match="negative"):
        run_work_isolated(Square(), -1, runner="inline")


def test_a_failure_that_is_not_raised_is_a_property_of_the_work():
    work = Square(raise_exception=False)

    assert run_work_isolated(work, -1, runner="inline") is None
    assert work.has_failed
    assert work.status.reason == "user_exception"


def test_a_test_app_counts_its_turns_and_its_hooks_end_it():
    class EndAfterThree(LightningTestApp):
        def on_after_run_once(self):
            return True if self.root.counter == 3 else None

    app = EndAfterThree(Count())
    app.run(runner="inline")

    assert app.root.counter == 3
    assert app.counter >= 3


def test_a_test_app_can_be_ended_before_a_turn():
    class EndAtOnce(LightningTestApp):
        def on_before_run_once(self):
            return True

    app = EndAtOnce(Count())
    app.run(runner="inline")

    assert app.counter == 0
    assert app.root.counter == 0


def test_a_manual_clock_stands_still_until_it_is_turned():
    clock = ManualClock()
    heard = []
    clock.watch(lambda: heard.append(clock.now().monotonic))
    before = clock.now()

    assert clock.now() == before
    clock.advance(2.5)

    assert clock.now().monotonic - before.monotonic == 2.5
    assert clock.now().wall - before.wall == 2.5
    assert heard == [before.monotonic + 2.5]
    assert clock.seconds_until(before.monotonic + 3) is None
    assert clock.seconds_until(before.monotonic) == 0.0


class Flaky(LightningWork):
    def __init__(self):
        super().__init__(retries=1, retry_delay=30)
        self.attempts = 0

    def run(self):
        self.attempts += 1
        if self.attempts == 1:
            raise ConnectionError("the first attempt")
        return self.attempts


class Once(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Flaky()

    def run(self):
        self.stop(f"attempt {self.work.run()}")


class Hurries(LightningTestApp):
    def on_before_run_once(self):
        self.manual.advance(60)
        assert self.counter < 100, "the work never runs"


def test_a_clock_that_a_hook_advances_in_each_turn_keeps_no_work_from_running(
    capfd: pytest.CaptureFixture[str],
):
    app = Hurries(Once(), clock=ManualClock())
    app.manual = app._clock
    app.run(runner="inline")

    assert capfd.readouterr().out.endswith("attempt 2\n")


def test_poll_until_returns_the_first_true_answer():
    answers = iter([0, "", None, "yes"])

    assert poll_until(lambda: next(answers)) == "yes"


def test_poll_until_gives_up_with_the_last_answer():
    with pytest.raises(TimeoutError, match=r"still \[\] after 0\.01 s"):
        poll_until(list, timeout=0.01)


class Loop(LightningFlow):
    def __init__(self):
        super().__init__()
        self.square = Square()

    def run(self):
        for number in range(20):
            self.square.run(number)
        self.stop()


def test_a_hook_ends_an_app_while_its_pass_waits_for_a_call():
    ends = []

    class EndOnce(LightningTestApp):
        def on_after_run_once(self):
            if self.root.square.num_successes == 3 and not ends:
                ends.append(self.counter)
                return True
            return None

    app = EndOnce(Loop())
    app.run()

    assert app.root.square.num_successes == 3
    assert ends == [app.counter]


class Watch(LightningFlow):
    """Waits for a call that does not end; only a pass from the first line can end the app."""

    def __init__(self):
        super().__init__()
        self.square = Square()
        self.other = Square(parallel=True)
        self.never = Never()

    def run(self):
        self.square.run(1)
        self.other.run(2)
        if self.other.seen == 2:
            self.stop()
        self.never.run()


def test_a_change_cuts_a_pass_although_the_time_of_a_manual_clock_stands_still():
    app = LightningApp(Watch(), clock=ManualClock())
    app.run()

    assert app.root.other.seen == 2


def test_a_test_app_changes_its_state_as_a_page_does():
    class Root(LightningFlow):
        def __init__(self):
            super().__init__()
            self.rate = 1

        def run(self):
            if self.rate == 6:
                self.stop()

    class Asks(LightningTestApp):
        def on_after_run_once(self):
            if self.counter == 1:
                self.make_request(change, 2, by=3)

    def change(state, factor, by):
        state.rate = state.rate * factor * by

    app = Asks(Root())
    app.run("inline", on_idle="fail")
    assert app.root.rate == 6
