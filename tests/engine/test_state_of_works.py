"""State shared by a flow and a work: writes, reports, and which value wins a conflict."""

from __future__ import annotations

import pytest

from lightning_lite.errors import StateError
from lightning_lite.messages import AcknowledgeState, StateChanged, WorkStarted
from lightning_lite.process_places import Place
from lightning_lite.values.codec import decode, encode
from lightning_lite.values.pickling import unpack

from tests.support.simulation import (
    Desk,
    RunCall,
    ScriptedFlow,
    Stage,
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


def wishing_stage(**kwargs):
    root = ScriptedFlow(wishing, work=Work(parallel=True, **kwargs))
    root._wish, root._call = None, 1
    stage = Stage(root)
    stage.up("root.work")
    return stage


def external(stage, action, call=1):
    """Let the flow do something in its next pass; return the requests that were sent."""
    stage.root._wish, stage.root._call = action, call
    stage.machine._outbox.changed("the test")
    return stage.settle()


def values(message):
    return decoded({name: encoded for name, (_, encoded) in message.changes.items()})


# From the work to the flow.


def test_a_change_of_the_work_is_there_in_the_next_pass():
    seen = []
    stage = play(lambda flow: seen.append((flow.work.loss, list(flow.work.curve))), work=Work())

    stage.change("root.work", loss=0.5, curve=[1, 2])

    assert seen[-1] == (0.5, [1, 2])


def test_what_comes_with_the_end_of_a_call_is_there_when_its_value_is():
    seen = []
    stage = play(lambda flow: seen.append((flow.work.run(), flow.work.loss)), work=Work(parallel=True))

    stage.answer("root.work", "value", loss=0.5)

    assert seen[-1] == ("value", 0.5)


def test_what_the_work_has_sent_is_no_write_of_the_flow():
    stage = wishing_stage()

    stage.change("root.work", curve=[1])
    sent = external(stage, lambda work: len(work.curve))

    assert only(sent, WriteState) == []


# From the flow to the work.


def test_what_the_flow_writes_while_a_call_runs_is_sent_at_once():
    stage = wishing_stage()

    (message,) = only(external(stage, lambda work: setattr(work, "loss", 9.0)), WriteState)

    assert values(message) == {"loss": 9.0}
    assert message.written == 1


def test_what_the_flow_changes_inside_a_list_or_dict_of_a_work_is_sent():
    stage = wishing_stage()

    (message,) = only(
        external(stage, lambda work: (work.curve.append(1), work.table.update(a=[2]))), WriteState
    )

    assert values(message) == {"curve": [1], "table": {"a": [2]}}


def test_what_the_flow_only_reads_is_not_sent():
    stage = wishing_stage()

    assert only(external(stage, lambda work: (work.curve, work.table, work.loss)), WriteState) == []


def test_what_the_flow_writes_while_no_call_runs_goes_with_the_next_one():
    stage = wishing_stage()
    stage.answer("root.work")

    sent = external(stage, lambda work: setattr(work, "loss", 9.0), call=2)

    assert only(sent, WriteState) == []
    (call,) = only(sent, RunCall)
    assert values(call) == {"loss": 9.0}


def test_what_the_flow_writes_before_the_process_starts_travels_with_it():
    def run(flow):
        flow.work.loss = 9.0
        flow.work.run()

    stage = Stage(ScriptedFlow(run, work=Work(parallel=True, start_with_flow=False)))

    (start,) = only(stage.sent, StartWork)
    assert unpack(start.work_side)._work.loss == 9.0


def test_what_the_flow_writes_while_the_process_starts_goes_with_the_call():
    root = ScriptedFlow(wishing, work=Work(parallel=True))
    root._wish, root._call = (lambda work: setattr(work, "loss", 9.0)), 1
    stage = Stage(root)

    (call,) = only(stage.up("root.work"), RunCall)

    assert values(call) == {"loss": 9.0}


def test_until_its_write_is_confirmed_the_flow_sees_its_own_value():
    stage = wishing_stage()
    external(stage, lambda work: setattr(work, "loss", 9.0))

    stage.change("root.work", applied=0, loss=1.0)

    assert stage.root.work.loss == 9.0


def test_older_values_of_other_attributes_are_taken_all_the_same():
    stage = wishing_stage()
    external(stage, lambda work: setattr(work, "loss", 9.0))

    stage.change("root.work", applied=0, loss=1.0, step=4)

    assert (stage.root.work.loss, stage.root.work.step) == (9.0, 4)


def test_after_the_confirmation_the_works_next_write_wins():
    stage = wishing_stage()
    external(stage, lambda work: setattr(work, "loss", 9.0))

    stage.change("root.work", applied=1)
    stage.change("root.work", applied=1, loss=1.0)

    assert stage.root.work.loss == 1.0


def test_the_confirmation_of_an_older_write_does_not_confirm_a_newer_one():
    stage = wishing_stage()
    external(stage, lambda work: setattr(work, "loss", 9.0))
    external(stage, lambda work: setattr(work, "loss", 10.0))

    stage.change("root.work", applied=1, loss=1.0)

    assert stage.root.work.loss == 10.0


def test_what_is_not_confirmed_is_repeated_with_its_own_number():
    stage = wishing_stage()
    external(stage, lambda work: setattr(work, "loss", 9.0))

    (message,) = only(external(stage, lambda work: setattr(work, "step", 3)), WriteState)

    assert {name: (number, decode(encoded)) for name, (number, encoded) in message.changes.items()} == {
        "loss": (1, 9.0),
        "step": (2, 3),
    }


def test_what_is_confirmed_is_not_repeated():
    stage = wishing_stage()
    external(stage, lambda work: setattr(work, "loss", 9.0))
    stage.change("root.work", applied=1)

    (message,) = only(external(stage, lambda work: setattr(work, "step", 3)), WriteState)

    assert values(message) == {"step": 3}


def test_an_equal_value_is_no_write():
    stage = wishing_stage()

    assert only(external(stage, lambda work: setattr(work, "loss", 0.0)), WriteState) == []


def test_a_new_process_begins_with_all_that_the_flow_knows():
    stage = wishing_stage(raise_exception=False)
    stage.change("root.work", curve=[1])
    external(stage, lambda work: setattr(work, "loss", 9.0))
    stage.exit("root.work")

    sent = external(stage, None, call=2)

    (start,) = only(sent, StartWork)
    work = unpack(start.work_side)._work
    assert (work.loss, work.curve) == (9.0, [1])
    (call,) = only(stage.up("root.work"), RunCall)
    assert call.changes == {}


def test_a_value_that_is_no_data_is_refused_in_the_flows_line():
    stage = wishing_stage()

    def write(work):
        with pytest.raises(StateError, match=r"root\.work\.loss with \{1\}"):
            work.loss = {1}

    assert only(external(stage, write), WriteState) == []
    assert stage.root.work.loss == 0.0


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

    stage = Stage(ScriptedFlow(run, **{name: Work() for name in "abcd"}))
    work_sides = {}
    for start in only(stage.sent, StartWork):
        work_side = unpack(start.work_side)
        work_sides[start.work] = (work_side, Desk(work_side))
        work_side.open(work_sides[start.work][1].send, work_sides[start.work][1].request_report)
    stage.settle(*[WorkStarted(name, Place.of(1)) for name in work_sides])

    for number in range(1, num_changes + 1):
        for place, (work_side, desk) in enumerate(work_sides.values()):
            work_side._work.step = number
            if number % (place * 7 + 1) == 0:
                for message in only(stage.step(*desk.take()), AcknowledgeState):
                    work_sides[message.work][0].receive(message)
    for work_side, desk in work_sides.values():
        work_side.close()
        stage.settle(*desk.take())

    for name, steps in seen.items():
        assert steps == sorted(steps), name
        assert steps[-1] == num_changes
        assert getattr(stage.root, name.removeprefix("root.")).step == num_changes


def test_nan_arrives_as_nan():
    stage = play(lambda flow: None, work=Work())

    stage.settle(StateChanged("root.work", {"loss": encode(float("nan"), "loss")}, 0))

    assert stage.root.work.loss != stage.root.work.loss
