"""Requests from other terminals: they have the effect of the same request of the flow."""

from __future__ import annotations

from lightning_lite.main_messages import RestartWanted, StopWanted, WorkExited

from tests.support.flows import run_once
from tests.support.simulation import KillWork, RunCall, StartWork, StopWork, Work, kinds, only, play, stages


def running():
    """Return a driver with one call under way."""
    return play(run_once, work=Work(parallel=True))


def test_a_call_that_a_stop_from_outside_cuts_has_ended_as_stopped():
    driver = running()

    sent = driver.settle(StopWanted("root.work", 5.0))
    driver.exit("root.work", 0)

    assert only(sent, StopWork) == [StopWork("root.work", 5.0)]
    call = driver.root.work.call(1)
    assert call.ended
    assert stages(call.statuses) == ["pending", "running", "stopped"]
    assert driver.root.work.has_stopped
    assert not driver.machine.ended


def test_a_kill_from_outside_is_no_crash():
    driver = running()

    sent = driver.settle(StopWanted("root.work", 0.0))
    driver.exit("root.work", -9)

    assert only(sent, KillWork) == [KillWork("root.work")]
    assert stages(driver.root.work.call(1).statuses)[-1] == "stopped"
    assert driver.root.work.num_failures == 0


def test_an_exit_that_arrives_with_the_request_for_it_is_no_crash():
    """The runner has begun with it, because the flow was busy."""
    driver = running()

    driver.settle(StopWanted("root.work", 0.0), WorkExited("root.work", -9))

    assert stages(driver.root.work.call(1).statuses) == ["pending", "running", "stopped"]
    assert not driver.machine.ended


def test_a_restart_from_outside_runs_the_call_again_in_a_new_process():
    driver = running()

    sent = driver.settle(RestartWanted("root.work", 5.0), WorkExited("root.work", 0))
    (again,) = only(driver.up("root.work"), RunCall)

    # The old process is gone: requests for it must not reach the new one.
    assert kinds(sent).index(("StopWork", "root.work")) < kinds(sent).index(("StartWork", "root.work"))
    assert len(only(sent, StartWork)) == 1
    assert again.attempt == 2
    assert stages(driver.root.work.call(1).statuses) == ["pending", "running", "pending", "running"]


def test_a_work_without_a_call_is_stopped_and_the_next_call_starts_it():
    def script(flow):
        if flow.go:
            flow.work.run(1)

    driver = play(script, work=Work(parallel=True), go=False)
    driver.settle(StopWanted("root.work", 5.0), WorkExited("root.work", 0))
    assert driver.root.work.has_stopped

    driver.root.go = True
    assert len(only(driver.settle(), StartWork)) == 1


def test_an_external_request_about_an_unknown_work_changes_nothing():
    driver = running()

    assert driver.settle(StopWanted("root.other", 0.0), RestartWanted("root.other", 1.0)) == []
    assert stages(driver.root.work.call(1).statuses) == ["pending", "running"]
