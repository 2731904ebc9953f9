"""Requests from other terminals: they have the effect of the same request of the flow."""

from __future__ import annotations

from lightning_lite.main_messages import RestartWanted, StopWanted, WorkExited

from tests.support.flows import run_once
from tests.support.simulation import KillWork, RunCall, StartWork, StopWork, Work, kinds, only, play, stages


def running():
    """Return a stage on which one call is under way."""
    return play(run_once, work=Work(parallel=True))


def test_a_call_that_a_stop_from_outside_cuts_has_ended_as_stopped():
    stage = running()

    sent = stage.settle(StopWanted("root.work", 5.0))
    stage.exit("root.work", 0)

    assert only(sent, StopWork) == [StopWork("root.work", 5.0)]
    call = stage.root.work.call(1)
    assert call.ended
    assert stages(call.statuses) == ["pending", "running", "stopped"]
    assert stage.root.work.has_stopped
    assert not stage.machine.ended


def test_a_kill_from_outside_is_no_crash():
    stage = running()

    sent = stage.settle(StopWanted("root.work", 0.0))
    stage.exit("root.work", -9)

    assert only(sent, KillWork) == [KillWork("root.work")]
    assert stages(stage.root.work.call(1).statuses)[-1] == "stopped"
    assert stage.root.work.num_failures == 0


def test_an_exit_that_arrives_with_the_request_for_it_is_no_crash():
    """The runner has begun with it, because the flow was busy."""
    stage = running()

    stage.settle(StopWanted("root.work", 0.0), WorkExited("root.work", -9))

    assert stages(stage.root.work.call(1).statuses) == ["pending", "running", "stopped"]
    assert not stage.machine.ended


def test_a_restart_from_outside_runs_the_call_again_in_a_new_process():
    stage = running()

    sent = stage.settle(RestartWanted("root.work", 5.0), WorkExited("root.work", 0))
    (again,) = only(stage.up("root.work"), RunCall)

    # The old process is gone: requests for it must not reach the new one.
    assert kinds(sent).index(("StopWork", "root.work")) < kinds(sent).index(("StartWork", "root.work"))
    assert len(only(sent, StartWork)) == 1
    assert again.attempt == 2
    assert stages(stage.root.work.call(1).statuses) == ["pending", "running", "pending", "running"]


def test_a_work_without_a_call_is_stopped_and_the_next_call_starts_it():
    def script(flow):
        if flow.go:
            flow.work.run(1)

    stage = play(script, work=Work(parallel=True), go=False)
    stage.settle(StopWanted("root.work", 5.0), WorkExited("root.work", 0))
    assert stage.root.work.has_stopped

    stage.root.go = True
    assert len(only(stage.settle(), StartWork)) == 1


def test_an_external_request_about_an_unknown_work_changes_nothing():
    stage = running()

    assert stage.settle(StopWanted("root.other", 0.0), RestartWanted("root.other", 1.0)) == []
    assert stages(stage.root.work.call(1).statuses) == ["pending", "running"]
