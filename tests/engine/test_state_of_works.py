"""State shared by a flow and a work: writes, reports, and which value wins a conflict."""

from __future__ import annotations

import pytest

from lightning_lite.errors import StateError
from lightning_lite.messages import AcknowledgeState, StateChanged, WorkStarted
from lightning_lite.process_places import Place
from lightning_lite.values.codec import decode, encode
from lightning_lite.values.pickling import unpack

from tests.support.simulation import (
    MachineDriver,
    MessageCollector,
    RunCall,
    ScriptedFlow,
    StartWork,
    Work,
    WriteState,
    decoded,
    only,
    play,
)


def wishing(flow):
    """Do what the test has put into `_wish`, then ask for the next call."""
    external, flow._wish = flow._wish, None
    if external is not None:
        external(flow.work)
    flow.work.run(flow._call)


def asking_driver(**kwargs):
    root = ScriptedFlow(wishing, work=Work(parallel=True, **kwargs))
    root._wish, root._call = None, 1
    driver = MachineDriver(root)
    driver.up("root.work")
    return driver


def external(driver, action, call=1):
    """Let the flow do something in its next pass; return the requests that were sent."""
    driver.root._wish, driver.root._call = action, call
    driver.machine._outbox.changed("the test")
    return driver.settle()


def values(message):
    return decoded({name: encoded for name, (_, encoded) in message.changes.items()})


# From the work to the flow.


def test_a_change_of_the_work_is_there_in_the_next_pass():
    seen = []
    driver = play(lambda flow: seen.append((flow.work.loss, list(flow.work.curve))), work=Work())

    driver.change("root.work", loss=0.5, curve=[1, 2])

    assert seen[-1] == (0.5, [1, 2])


def test_what_comes_with_the_end_of_a_call_is_there_when_its_value_is():
    seen = []
    driver = play(lambda flow: seen.append((flow.work.run(), flow.work.loss)), work=Work(parallel=True))

    driver.answer("root.work", "value", loss=0.5)

    assert seen[-1] == ("value", 0.5)


def test_what_the_work_has_sent_is_no_write_of_the_flow():
    driver = asking_driver()

    driver.change("root.work", curve=[1])
    sent = external(driver, lambda work: len(work.curve))

    assert only(sent, WriteState) == []


# From the flow to the work.


def test_what_the_flow_writes_while_a_call_runs_is_sent_at_once():
    driver = asking_driver()

    (message,) = only(external(driver, lambda work: setattr(work, "loss", 9.0)), WriteState)

    assert values(message) == {"loss": 9.0}
    assert message.written == 1


def test_what_the_flow_changes_inside_a_list_or_dict_of_a_work_is_sent():
    driver = asking_driver()

    (message,) = only(
        external(driver, lambda work: (work.curve.append(1), work.table.update(a=[2]))), WriteState
    )

    assert values(message) == {"curve": [1], "table": {"a": [2]}}


def test_what_the_flow_only_reads_is_not_sent():
    driver = asking_driver()

    assert only(external(driver, lambda work: (work.curve, work.table, work.loss)), WriteState) == []


def test_what_the_flow_writes_while_no_call_runs_goes_with_the_next_one():
    driver = asking_driver()
    driver.answer("root.work")

    sent = external(driver, lambda work: setattr(work, "loss", 9.0), call=2)

    assert only(sent, WriteState) == []
    (call,) = only(sent, RunCall)
    assert values(call) == {"loss": 9.0}


def test_what_the_flow_writes_before_the_process_starts_travels_with_it():
    def run(flow):
        flow.work.loss = 9.0
        flow.work.run()

    driver = MachineDriver(ScriptedFlow(run, work=Work(parallel=True, start_with_flow=False)))

    (start,) = only(driver.sent, StartWork)
    assert unpack(start.work_side)._work.loss == 9.0


def test_what_the_flow_writes_while_the_process_starts_goes_with_the_call():
    root = ScriptedFlow(wishing, work=Work(parallel=True))
    root._wish, root._call = (lambda work: setattr(work, "loss", 9.0)), 1
    driver = MachineDriver(root)

    (call,) = only(driver.up("root.work"), RunCall)

    assert values(call) == {"loss": 9.0}


def test_until_its_write_is_confirmed_the_flow_sees_its_own_value():
    driver = asking_driver()
    external(driver, lambda work: setattr(work, "loss", 9.0))

    driver.change("root.work", applied=0, loss=1.0)

    assert driver.root.work.loss == 9.0


def test_older_values_of_other_attributes_are_taken_all_the_same():
    driver = asking_driver()
    external(driver, lambda work: setattr(work, "loss", 9.0))

    driver.change("root.work", applied=0, loss=1.0, step=4)

    assert (driver.root.work.loss, driver.root.work.step) == (9.0, 4)


def test_after_the_confirmation_the_works_next_write_wins():
    driver = asking_driver()
    external(driver, lambda work: setattr(work, "loss", 9.0))

    driver.change("root.work", applied=1)
    driver.change("root.work", applied=1, loss=1.0)

    assert driver.root.work.loss == 1.0


def test_the_confirmation_of_an_older_write_does_not_confirm_a_newer_one():
    driver = asking_driver()
    external(driver, lambda work: setattr(work, "loss", 9.0))
    external(driver, lambda work: setattr(work, "loss", 10.0))

    driver.change("root.work", applied=1, loss=1.0)

    assert driver.root.work.loss == 10.0


def test_what_is_not_confirmed_is_repeated_with_its_own_number():
    driver = asking_driver()
    external(driver, lambda work: setattr(work, "loss", 9.0))

    (message,) = only(external(driver, lambda work: setattr(work, "step", 3)), WriteState)

    assert {name: (number, decode(encoded)) for name, (number, encoded) in message.changes.items()} == {
        "loss": (1, 9.0),
        "step": (2, 3),
    }


def test_what_is_confirmed_is_not_repeated():
    driver = asking_driver()
    external(driver, lambda work: setattr(work, "loss", 9.0))
    driver.change("root.work", applied=1)

    (message,) = only(external(driver, lambda work: setattr(work, "step", 3)), WriteState)

    assert values(message) == {"step": 3}


def test_an_equal_value_is_no_write():
    driver = asking_driver()

    assert only(external(driver, lambda work: setattr(work, "loss", 0.0)), WriteState) == []


def test_a_new_process_begins_with_all_that_the_flow_knows():
    driver = asking_driver(raise_exception=False)
    driver.change("root.work", curve=[1])
    external(driver, lambda work: setattr(work, "loss", 9.0))
    driver.exit("root.work")

    sent = external(driver, None, call=2)

    (start,) = only(sent, StartWork)
    work = unpack(start.work_side)._work
    assert (work.loss, work.curve) == (9.0, [1])
    (call,) = only(driver.up("root.work"), RunCall)
    assert call.changes == {}


def test_a_value_that_is_no_data_is_refused_in_the_flows_line():
    driver = asking_driver()

    def write(work):
        with pytest.raises(StateError, match=r"root\.work\.loss with \{1\}"):
            work.loss = {1}

    assert only(external(driver, write), WriteState) == []
    assert driver.root.work.loss == 0.0


@pytest.mark.parametrize(
    "num_changes",
    [2_500, pytest.param(25_000, marks=pytest.mark.torture)],
    ids=["10,000 changes", "100,000 changes"],
)
def test_numbered_changes_of_four_works_arrive_in_order_and_the_last_of_each(num_changes):
    """P12: a merged change is never lost, doubled or out of order."""
    seen = {}

    def run(flow):
        for work in flow.works():
            seen.setdefault(work.name, []).append(work.step)

    driver = MachineDriver(ScriptedFlow(run, **{name: Work() for name in "abcd"}))
    work_sides = {}
    for start in only(driver.sent, StartWork):
        work_side = unpack(start.work_side)
        work_sides[start.work] = (work_side, MessageCollector(work_side))
        work_side.open(work_sides[start.work][1].send, work_sides[start.work][1].request_report)
    driver.settle(*[WorkStarted(name, Place.of(1)) for name in work_sides])

    for number in range(1, num_changes + 1):
        for place, (work_side, collector) in enumerate(work_sides.values()):
            work_side._work.step = number
            if number % (place * 7 + 1) == 0:
                for message in only(driver.step(*collector.take()), AcknowledgeState):
                    work_sides[message.work][0].receive(message)
    for work_side, collector in work_sides.values():
        work_side.close()
        driver.settle(*collector.take())

    for name, steps in seen.items():
        assert steps == sorted(steps), name
        assert steps[-1] == num_changes
        assert getattr(driver.root, name.removeprefix("root.")).step == num_changes


def test_nan_arrives_as_nan():
    driver = play(lambda flow: None, work=Work())

    driver.settle(StateChanged("root.work", {"loss": encode(float("nan"), "loss")}, 0))

    assert driver.root.work.loss != driver.root.work.loss
