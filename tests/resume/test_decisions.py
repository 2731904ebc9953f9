"""`log_level="debug"` logs one line for each decision about a call, and one for each pass."""

from __future__ import annotations

import logging

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork

from tests.support.simulation import Work, play


@pytest.fixture
def lines(caplog):
    """Return a function that returns the lines since its last call."""
    caplog.set_level(logging.DEBUG, "lightning_lite")

    def take():
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    return take


def test_each_decision_about_a_call_is_logged(lines):
    driver = play(lambda flow: flow.work.run(1, rate=0.5), work=Work(retries=1))

    assert "root.work.run(1, rate=0.5): new, call 1" in lines()
    driver.change("root.work", loss=1.0)
    assert "root.work.run(1, rate=0.5): same as call 1, still running" in lines()
    driver.fail("root.work")
    assert "ValueError: no good, attempt 1 of 2; the next one follows in 1.0 s" in lines()
    driver.advance(1.0)
    driver.answer("root.work")
    assert "root.work.run(1, rate=0.5): same as call 1, succeeded" in lines()


def test_a_call_without_a_cache_is_new_each_time(lines):
    def script(flow):
        flow.answers = [*flow.answers, flow.work.run()]

    driver = play(script, work=Work(cache_calls=False), answers=[])
    driver.answer("root.work", 7)

    assert [line for line in lines() if line.startswith("root.work.run()")] == [
        "root.work.run(): new, call 1",
        "root.work.run(): same as call 1, still running",
        "root.work.run(): same as call 1, succeeded",
        "root.work.run(): new, call 2",
    ]


def test_each_pass_is_logged_with_its_reason(lines):
    driver = play(lambda flow: None, work=Work(), seen=0)
    lines()

    driver.change("root.work", loss=1.0)

    assert lines() == [f"pass {driver.machine.num_passes} of the flow: root.work: StateChanged"]


def test_arguments_whose_repr_raises_are_no_error(lines):
    class Broken:
        def __repr__(self):
            raise RuntimeError("no repr")

    broken = Broken()
    driver = play(lambda flow: flow.work.run(broken), work=Work(call_key=lambda value: 1))

    assert any(line.endswith(": new, call 1") for line in lines())
    assert "root.work" in driver.calls


def test_a_discarded_value_is_logged(lines):
    def script(flow):
        flow.work.run()
        flow.work.loss = 5.0

    driver = play(script, work=Work(parallel=True))
    lines()

    driver.change("root.work", loss=1.0)  # written before the work has got the value of the flow

    assert lines()[0] == "root.work.loss: the value of the work is discarded, the flow has a newer one"
    assert driver.root.work.loss == 5.0


class Once(LightningWork):
    def run(self, x):
        return x


class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.once = Once()

    def run(self):
        self.once.run(3)
        self.stop()


def test_decisions_are_logged_only_with_log_level_debug(capfd):
    LightningApp(Root(), log_level="debug").run("inline")
    loud = capfd.readouterr().err
    LightningApp(Root()).run("inline")
    quiet = capfd.readouterr().err

    assert "root.once.run(3): new, call 1" in loud
    assert "root.once, call 1: succeeded" in loud
    assert "pass 1 of the flow: the app has started" in loud
    assert quiet == ""
