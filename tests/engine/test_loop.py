"""When the flow runs, what interrupts a pass, and how the app ends."""

from __future__ import annotations

from unittest.mock import Mock

import pytest

from lightning_lite.context import Caller
from lightning_lite.engine.machine import Machine
from lightning_lite.errors import AppFailed, FailApp, Pause, PauseSwallowed, StateError, StopApp
from lightning_lite.events import CallSucceeded, StateReported
from lightning_lite.main_messages import HandlerWanted, RestartWanted, StartWork, StopWanted, WorkExited
from lightning_lite.messages import Failure, StartFailed, WorkStarted
from lightning_lite.process_places import Place
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.values.codec import encode
from lightning_lite.values.pickling import pack

from tests.support.simulation import MachineDriver, ScriptedFlow, StateChanged, Work, kinds, only, play


def test_the_flow_runs_once_when_the_app_starts():
    driver = MachineDriver(ScriptedFlow(lambda flow: None))

    assert driver.machine.num_passes == 1
    assert driver.machine.is_at_rest


def test_what_the_runner_may_begin_with_is_what_is_started_then():
    works = {"a": Work(env={"X": "1"}), "b": Work(cwd="/tmp"), "c": Work(start_with_flow=False)}
    root = ScriptedFlow(lambda flow: None, **works)
    prepared = Machine(root, Caller("flow", "root", "/nowhere")).prepare()

    started = only(MachineDriver(root).sent, StartWork)

    assert [tuple(message) for message in prepared] == [
        ("root.a", {"X": "1"}, None, None),
        ("root.b", None, "/tmp", None),
    ]
    assert [(message.work, message.env, message.cwd, message.resources) for message in started] == prepared


def test_a_step_in_which_nothing_happened_does_not_run_the_flow():
    driver = MachineDriver(ScriptedFlow(lambda flow: None))

    for _ in range(100):
        driver.advance(1.0)

    assert driver.machine.num_passes == 1
    assert driver.machine.wake_at is None


def test_a_change_of_the_flows_own_attribute_makes_it_run_again():
    def count(flow):
        flow.counter = min(flow.counter + 1, 5)

    driver = MachineDriver(ScriptedFlow(count, counter=0))

    assert driver.root.counter == 5
    assert driver.machine.num_passes == 6


def test_a_change_inside_a_list_or_dict_of_the_flow_makes_it_run_again():
    def grow(flow):
        if len(flow.items) < 3:
            flow.items.append({"n": len(flow.items)})
        elif flow.items[0]["n"] == 0:
            flow.items[0]["n"] = 7

    driver = MachineDriver(ScriptedFlow(grow, items=[]))

    assert driver.root.items == [{"n": 7}, {"n": 1}, {"n": 2}]
    assert driver.machine.num_passes == 5


class Defaults(LightningFlow):
    items: list = []  # noqa: RUF012 - the subject of the test

    def __init__(self):
        super().__init__()
        self.items = []

    def run(self):
        if len(self.items) < 3:
            self.items.append(1)


def test_a_change_inside_a_list_is_seen_even_if_the_class_has_an_attribute_of_that_name():
    driver = MachineDriver(Defaults())

    assert driver.root.items == [1, 1, 1]
    assert Defaults.items == []


def test_what_was_changed_before_the_app_started_is_no_change():
    root = ScriptedFlow(lambda flow: len(flow.items), items=[])
    root.items.append(1)

    driver = MachineDriver(root)

    assert driver.machine.num_passes == 1


def test_an_equal_value_is_no_change():
    def assign(flow):
        flow.number, flow.items, flow.nothing = float("nan"), [1, (2, 3)], None

    driver = MachineDriver(ScriptedFlow(assign, number=float("nan"), items=[1, (2, 3)], nothing=None))

    assert driver.machine.num_passes == 1


@pytest.mark.parametrize(
    ("old", "new"), [(1, 1.0), (1, True), (0.0, -0.0), ("1", 1), ([1], (1,)), ([1], [1.0])]
)
def test_a_value_that_is_equal_but_not_the_same_is_a_change(old, new):
    def assign(flow):
        flow.value = new

    driver = MachineDriver(ScriptedFlow(assign, value=old))

    assert repr(driver.root.value) == repr(new)
    assert driver.machine.num_passes == 2


def test_private_attributes_do_not_count_as_changes():
    def write(flow):
        flow._private = object()

    driver = MachineDriver(ScriptedFlow(write))

    assert driver.machine.num_passes == 1


def test_all_reports_that_have_arrived_are_applied_before_one_pass():
    seen = []
    driver = play(lambda flow: seen.append((flow.a.loss, flow.b.loss, flow.a.step)), a=Work(), b=Work())
    passes = driver.machine.num_passes

    messages = [changed("root.a", loss=1.0), changed("root.b", loss=2.0)]
    driver.settle(*messages, changed("root.a", step=3))

    assert driver.machine.num_passes == passes + 1
    assert seen[-1] == (1.0, 2.0, 3)


def changed(work, **changes):
    return StateChanged(work, {name: encode(value, name) for name, value in changes.items()}, 0)


def test_a_report_that_only_confirms_a_write_does_not_run_the_flow():
    driver = play(lambda flow: None, work=Work())
    passes = driver.machine.num_passes

    driver.change("root.work", applied=1)

    assert driver.machine.num_passes == passes


def test_each_change_of_state_is_acknowledged_once():
    driver = play(lambda flow: None, work=Work())

    sent = driver.change("root.work", loss=1.0)

    assert kinds(sent) == [("AcknowledgeState", "root.work")]


def test_a_report_of_an_unknown_work_is_ignored():
    driver = play(lambda flow: None)

    assert driver.change("root.unknown", loss=1.0) == []


# Exceptions that cut the flow.


def test_a_call_of_a_work_that_is_not_parallel_cuts_the_flow_at_that_line():
    def run(flow):
        flow.work.run()
        flow.after = True

    driver = play(run, work=Work(), after=False)
    assert driver.root.after is False

    driver.answer("root.work")

    assert driver.root.after is True


def test_a_call_of_a_parallel_work_does_not_cut_the_flow():
    def run(flow):
        flow.work.run()
        flow.after = True

    driver = play(run, work=Work(parallel=True), after=False)

    assert driver.root.after is True


def test_what_cuts_the_flow_passes_except_exception():
    def run(flow):
        try:
            flow.work.run()
        except Exception:  # noqa: BLE001 - the subject of the test
            flow.caught = True

    driver = play(run, work=Work(), caught=False)

    assert driver.root.caught is False
    assert issubclass(Pause, BaseException)
    assert not issubclass(Pause, Exception)


def swallow(flow):
    try:
        flow.work.run()
    except:  # noqa: E722 - the subject of the test
        flow._swallowed = True


def swallow_and_ask_another(flow):
    swallow(flow)
    flow.other.run()


def leave_by_finally(flow):
    try:
        flow.work.run()
    finally:
        return  # noqa: B012 - the subject of the test


def swallow_and_stop(flow):
    swallow(flow)
    flow.stop("too early")


def swallow_and_raise(flow):
    swallow(flow)
    raise ValueError("too early")


def stop_in_finally(flow):
    try:
        flow.work.run()
    finally:
        flow.stop("too early")


@pytest.mark.parametrize(
    "run",
    [
        swallow,
        swallow_and_ask_another,
        swallow_and_stop,
        swallow_and_raise,
        leave_by_finally,
        stop_in_finally,
    ],
)
def test_a_flow_that_swallows_the_pause_gets_an_error_naming_the_line(run):
    line = (run if run in (leave_by_finally, stop_in_finally) else swallow).__code__.co_firstlineno + 2

    with pytest.raises(PauseSwallowed, match=rf"test_loop\.py, line {line}\).*except Exception"):
        play(run, work=Work(), other=Work())


def test_the_error_of_a_swallowed_pause_names_what_the_flow_raised_after_that():
    with pytest.raises(PauseSwallowed) as caught:
        play(swallow_and_raise, work=Work(), other=Work())

    assert caught.value.__notes__ == ["The flow raised after that: ValueError: too early"]


def test_cleaning_up_and_raising_again_is_no_swallowing():
    def run(flow):
        try:
            flow.work.run()
        except BaseException:
            flow.cleaned = True
            raise

    driver = play(run, work=Work(), cleaned=False)

    assert driver.root.cleaned is True


def test_an_error_of_the_code_that_cleans_up_is_no_swallowing():
    def run(flow):
        try:
            flow.work.run()
        finally:
            raise ValueError("no such file")

    with pytest.raises(ValueError, match="no such file"):
        play(run, work=Work())


def test_an_exception_of_the_flow_leaves_the_step_as_it_is():
    def run(flow):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        MachineDriver(ScriptedFlow(run))


# How the app ends.


def test_stop_ends_the_app_without_an_error_and_prints_its_line(capsys):
    driver = MachineDriver(ScriptedFlow(lambda flow: flow.stop("Application End!")))

    assert driver.machine.ended
    assert driver.machine.error is None
    assert capsys.readouterr().out == "Application End!\n"


def test_fail_ends_the_app_with_app_failed():
    driver = MachineDriver(ScriptedFlow(lambda flow: flow.fail("no data")))

    assert driver.machine.ended
    assert isinstance(driver.machine.error, AppFailed)
    assert str(driver.machine.error) == "no data"


def test_a_child_flow_can_end_the_app():
    driver = MachineDriver(
        ScriptedFlow(lambda flow: flow.child.run(), child=ScriptedFlow(lambda flow: flow.stop()))
    )

    assert driver.machine.ended


@pytest.mark.parametrize(("verb", "error"), [("stop", type(None)), ("fail", AppFailed)])
def test_an_end_that_the_flow_swallows_ends_the_app_all_the_same(verb, error):
    def run(flow):
        try:
            getattr(flow, verb)("over")
        except BaseException:  # noqa: BLE001 - the subject of the test
            flow._swallowed = True

    driver = MachineDriver(ScriptedFlow(run))

    assert driver.machine.ended
    assert isinstance(driver.machine.error, error)


def test_stop_and_fail_pass_except_exception():
    assert not issubclass(StopApp, Exception)
    assert not issubclass(FailApp, Exception)


def test_nothing_is_sent_and_no_pass_runs_after_the_end():
    def run(flow):
        flow.work.run()
        flow.stop()

    driver = play(run, work=Work(), late=Work(parallel=True))
    driver.answer("root.work")
    passes = driver.machine.num_passes

    driver.change("root.late", loss=2.0)

    assert driver.machine.num_passes == passes
    assert not driver.machine.wants_pass


def test_a_call_asked_in_the_pass_that_stops_the_app_is_not_sent():
    def run(flow):
        flow.work.run()
        flow.stop()

    driver = MachineDriver(ScriptedFlow(run, work=Work(parallel=True, start_with_flow=False)))

    assert only(driver.sent, object) == []


def test_what_works_did_stays_readable_after_the_end():
    def run(flow):
        flow.value = flow.work.run(3)
        flow.stop()

    driver = play(run, work=Work(), value=None)
    driver.answer("root.work", "nine", loss=0.5)
    driver.machine.close(driver.clock.now())

    work = driver.root.work
    assert (driver.root.value, work.loss) == ("nine", 0.5)
    assert work.has_succeeded
    assert work.call(3).value == "nine"


def test_only_states_and_ends_of_calls_count_during_the_shutdown():
    driver = play(lambda flow: flow.work.run(1), work=Work(parallel=True), late=Work())
    handler = Mock()
    step = driver.machine.close(
        driver.clock.now(),
        [
            HandlerWanted("root", handler, handler),
            WorkStarted("root.late", Place.of(1)),
            StartFailed("root.late", Failure("start_failed", "")),
            StopWanted("root.work", 1.0),
            RestartWanted("root.work", 1.0),
            WorkExited("root.work", -9),
            StateChanged("root.work", {"loss": encode(0.5, "loss")}, 0),
            driver.ended("root.work", {"step": 2}, pack("value")),
        ],
    )

    work = driver.root.work
    assert (work.call(1).value, work.loss, work.step) == ("value", 0.5, 2)
    assert {type(event) for event in step.events} == {StateReported, CallSucceeded}
    handler.assert_not_called()


def test_calls_that_have_not_ended_are_stopped_at_the_end():
    def run(flow):
        flow.works_first.run(1)
        flow.works_first.run(2)
        if flow.works_first.step:
            flow.stop()

    driver = play(run, works_first=Work(parallel=True))
    driver.change("root.works_first", step=1)
    driver.machine.close(driver.clock.now())

    for argument in (1, 2):
        call = driver.root.works_first.call(argument)
        assert call.ended
        assert not call.succeeded
        assert call.failure.reason == "stopped"


def test_the_machine_is_at_rest_only_while_nothing_can_change():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True, timeout=10))
    assert not driver.machine.is_at_rest

    driver.answer("root.work")

    assert driver.machine.is_at_rest


def test_something_that_is_no_data_in_a_list_of_the_flow_is_refused_at_the_end_of_the_pass():
    def run(flow):
        flow.items.append({1, 2})

    with pytest.raises(StateError, match=r"root\.items\[0\] with \{1, 2\} of type builtins\.set"):
        MachineDriver(ScriptedFlow(run, items=[]))
