"""Handlers of requests: they run between passes and while one waits, and their changes are journaled."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lightning_lite.context import current_caller
from lightning_lite.engine.history import fold
from lightning_lite.errors import AppFailed, HandlerError, StateError
from lightning_lite.main_messages import HandlerWanted
from lightning_lite.messages import WorkStarted
from lightning_lite.process_places import Place
from lightning_lite.values.codec import decode

from tests.engine.test_waiting_passes import Driver
from tests.support.simulation import RunCall, ScriptedFlow, Work, only, play


class Asked:
    """A request for a handler; `answers` has what it was answered, once."""

    def __init__(self, driver, handler):
        self.answers = []
        self.is_wanted = True
        self.message = HandlerWanted("root", lambda: handler if self.is_wanted else None, self._answer)
        self._driver = driver

    def _answer(self, value, error):
        self.answers.append(error or value)

    def settle(self):
        """Let the machine handle it, and answer as the session does; return the answer."""
        self._driver.settle(self.message)
        give_answers(self._driver)
        return self.answers[0]


def give_answers(driver):
    answers, driver.answers = driver.answers, []
    for answer in answers:
        answer()


def states(events):
    """Return the public state that a journal with these events has, by component."""
    return {
        name: {key: decode(value) for key, value in state.items() if key[:1] != "_"}
        for name, state in fold(events).states.items()
    }


def do_nothing(flow):
    pass


def test_a_handler_changes_the_state_and_the_flow_runs_again():
    seen = []
    driver = play(lambda flow: seen.append((flow.count, list(flow.names))), count=0, names=[])

    def handle():
        driver.root.count += 1
        driver.root.names.append("a")
        return driver.root.count

    assert Asked(driver, handle).settle() == 1
    assert seen[-1] == (1, ["a"])
    assert states(driver.events)["root"] == {"count": 1, "names": ["a"]}


def test_a_handler_that_changes_nothing_causes_no_pass():
    driver = play(do_nothing, count=5)
    num_passes = driver.machine.num_passes

    assert Asked(driver, lambda: driver.root.count).settle() == 5
    assert driver.machine.num_passes == num_passes


def test_the_flow_runs_again_also_if_it_has_written_the_value_of_before():
    """Lines of a pass that waits see the change of a handler, so the value at its end does not count."""
    seen = []

    def run(flow):
        flow.work.run()
        seen.append(flow.count)
        flow.other.run()
        flow.count = 0

    driver = play(run, work=Work(), other=Work(), count=0)
    driver.answer("root.work")
    Asked(driver, lambda: setattr(driver.root, "count", 5)).settle()
    driver.answer("root.other")

    assert seen[-1] == 0
    assert 5 in seen


def test_the_answer_waits_for_the_journal():
    driver = play(do_nothing, count=0)
    asked = Asked(driver, lambda: setattr(driver.root, "count", 1))

    step = driver.machine.step(driver.clock.now(), [asked.message])

    assert [event.component for event in step.events] == ["root"]
    assert asked.answers == []
    step.answers[0]()
    assert asked.answers == [None]


def test_a_handler_acts_as_the_flow():
    driver = play(do_nothing)

    assert Asked(driver, lambda: current_caller().kind).settle() == "flow"
    assert current_caller().kind == "script"


def test_what_a_handler_has_changed_before_it_raises_stays_and_is_journaled():
    driver = play(do_nothing, count=0)

    def handle():
        driver.root.count = 7
        raise LookupError("no such thing")

    assert str(Asked(driver, handle).settle()) == "no such thing"
    assert states(driver.events)["root"]["count"] == driver.root.count == 7
    assert not driver.machine.ended


def test_a_list_with_a_value_that_is_not_plain_data_gets_its_earlier_value():
    driver = play(do_nothing, names=["a"], other=[])

    def handle():
        driver.root.names.append(object())
        driver.root.other.append(1)

    refused = Asked(driver, handle).settle()

    assert isinstance(refused, StateError)
    assert "root.names" in str(refused)
    assert driver.root.names == ["a"]
    assert states(driver.events)["root"] == {"names": ["a"], "other": [1]}
    assert Asked(driver, lambda: driver.root.names.append("b")).settle() is None
    assert driver.root.names == ["a", "b"]


def test_a_handler_asks_for_calls_of_parallel_works():
    driver = play(do_nothing, work=Work(parallel=True))

    assert Asked(driver, lambda: driver.root.work.run(3)).settle() is None

    assert len(only(driver.sent, RunCall)) == 1
    driver.answer("root.work", 9)
    assert Asked(driver, lambda: driver.root.work.run(3)).settle() == 9


@pytest.mark.parametrize("script", [do_nothing, lambda flow: flow.work.run(1)], ids=["new", "under way"])
def test_a_handler_does_not_wait_for_a_call(script):
    driver = play(script, work=Work())
    num_calls = len(only(driver.sent, RunCall))

    refused = Asked(driver, lambda: driver.root.work.run(1)).settle()

    assert isinstance(refused, HandlerError)
    assert "root.work" in str(refused)
    assert len(only(driver.sent, RunCall)) == num_calls


def test_a_handler_may_not_wait_for_works():
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True))

    assert isinstance(Asked(driver, lambda: driver.root.wait_for(driver.root.work)).settle(), HandlerError)


def test_a_handler_gets_the_answer_of_a_call_that_has_ended():
    driver = play(lambda flow: flow.work.run(1), work=Work())
    driver.answer("root.work", 8)

    assert Asked(driver, lambda: driver.root.work.run(1)).settle() == 8


def test_a_handler_writes_the_state_of_a_work():
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True))

    Asked(driver, lambda: setattr(driver.root.work, "step", 4)).settle()

    assert states(driver.events)["root.work"]["step"] == 4
    assert [
        decode(each.changes["step"][1]) for each in driver.sent if type(each).__name__ == "WriteState"
    ] == [4]


def test_a_handler_ends_the_app():
    driver = play(do_nothing, count=0)

    def handle():
        driver.root.count = 1
        driver.root.stop()

    asked = Asked(driver, handle)
    driver.step(asked.message)
    give_answers(driver)

    assert driver.machine.ended
    assert driver.machine.error is None
    assert asked.answers == [None]
    assert states(driver.events)["root"]["count"] == 1


def test_a_handler_lets_the_app_fail():
    driver = play(do_nothing)

    driver.step(Asked(driver, lambda: driver.root.fail("no data")).message)

    assert isinstance(driver.machine.error, AppFailed)


def test_no_handler_runs_after_the_end_or_when_nothing_waits_for_it():
    ran = []
    driver = play(do_nothing)
    asked, late = Asked(driver, lambda: ran.append(1)), Asked(driver, lambda: ran.append(2))
    asked.is_wanted = False

    driver.step(asked.message)
    driver.step(Asked(driver, lambda: driver.root.stop()).message, late.message)

    assert ran == []


# While a pass waits.


class Chooser:
    """Delivers requests while the pass waits for its call, then the answer of the work."""

    def __init__(self, *messages):
        self.messages = list(messages)

    def __call__(self, works):
        if works.calls and self.messages:
            return [self.messages.pop(0)]
        return Driver.choose_all(works)


def drive(script, make_requests, **attributes):
    """Run a flow with the work `a` until nothing changes; requests come while its first call runs."""
    chooser = Chooser()
    driver = Driver(ScriptedFlow(script, a=Work(), b=Work(parallel=True), **attributes), choose=chooser)
    requests = [Asked(driver, handler) for handler in make_requests(driver.flow)]
    chooser.messages += [request.message for request in requests]
    driver.run()
    give_answers(driver)
    return driver, [request.answers[0] for request in requests]


def test_a_handler_runs_while_a_pass_waits_and_cuts_it():
    log = []

    def script(flow):
        log.append(f"from the top with {flow.count}")
        flow.a.run(1)
        log.append("called")

    def requests(flow):
        def handle():
            log.append("handled")
            flow.count = 1

        return [handle]

    driver, answers = drive(script, requests, count=0)

    first = log.index("handled")
    assert log[first + 1] == "from the top with 1"
    assert "called" not in log[:first]
    assert log[-1] == "called"
    assert answers == [None]
    assert states(driver.events)["root"]["count"] == 1


def test_a_handler_that_changes_nothing_leaves_the_pass_where_it_waits():
    log = []

    def script(flow):
        log.append("top")
        log.append(flow.a.run(1))

    def requests(flow):
        return [lambda: log.append("handled")]

    drive(script, requests)

    assert log[log.index("handled") + 1] == 2


def test_a_handler_does_not_change_what_the_waiting_pass_has_asked_for():
    """`wait_for` gives the value of the call that the pass has asked for last, not of one of the handler."""
    seen = []

    def script(flow):
        flow.b.run(5)
        flow.b.run(6)
        flow.a.run(1)
        seen.append(flow.wait_for(flow.b))

    def requests(flow):
        return [lambda: None, lambda: flow.b.run(5)]

    drive(script, requests)

    assert seen
    assert set(map(tuple, seen)) == {(12,)}


def test_a_handler_ends_the_app_while_a_pass_waits():
    log = []

    def script(flow):
        flow.a.run(1)
        log.append("called")

    driver, answers = drive(script, lambda flow: [flow.stop])

    assert driver.machine.ended
    assert log == []
    assert answers == [None]


def test_a_handler_may_use_a_schedule_that_the_waiting_pass_uses_too():
    def script(flow):
        if flow.schedule("* * * * *"):
            flow.a.run(1)
        flow.stop()

    _, answers = drive(script, lambda flow: [lambda: flow.schedule("* * * * *")])

    assert answers == [True]


@settings(deadline=None)
@given(st.lists(st.sampled_from(["write", "append", "raise", "bad", "call", "read"]), max_size=12))
def test_whatever_handlers_do_the_journal_has_the_state_of_the_flow(kinds):
    flow = ScriptedFlow(
        lambda flow: flow.a.run(flow.count), a=Work(), b=Work(parallel=True), count=0, names=[]
    )

    def perform(kind):
        match kind:
            case "write":
                flow.count += 1
            case "append":
                flow.names.append(len(flow.names))
            case "raise":
                flow.names.append("x")
                raise ValueError("no good")
            case "bad":
                flow.names.append({1, 2})
            case "call":
                flow.b.run(len(flow.names))
            case "read":
                return flow.count
        return None

    chooser = Chooser()
    driver = Driver(flow, choose=chooser)
    requests = [Asked(driver, lambda kind=kind: perform(kind)) for kind in kinds]
    chooser.messages += [request.message for request in requests]
    driver.run()
    give_answers(driver)

    assert states(driver.events)["root"] == {"count": flow.count, "names": flow.names}
    assert flow.count == kinds.count("write")
    assert len(flow.names) == kinds.count("append") + kinds.count("raise")
    assert all(len(request.answers) == 1 for request in requests)


def test_an_app_that_accepts_handlers_never_rests():
    driver = play(do_nothing)
    assert driver.machine.is_at_rest

    driver.machine.accepts_handlers = True

    assert not driver.machine.is_at_rest


def test_a_handler_sees_what_arrived_before_it():
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True))

    asked = Asked(driver, lambda: driver.root.work.loss)
    driver.settle(
        WorkStarted("root.work", Place("here", 1)),
        driver.ended("root.work", {"loss": 0.5}),
        asked.message,
    )
    give_answers(driver)

    assert asked.answers == [0.5]
