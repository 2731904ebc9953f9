"""Snapshots of works: rows of the live view, the summary, tables in notebooks."""

from __future__ import annotations

import math

import pytest

from lightning_lite import LightningApp
from lightning_lite.app.terminal_view import summarize_work
from lightning_lite.app.work_rows import read_work_progress, snapshot_work
from lightning_lite.run_options import RunOptions
from lightning_lite.ui.summary import EndSummary, WorkSummary, describe_run
from lightning_lite.work_row import WorkRow

from tests.support.simulation import ScriptedFlow, Work, play

BEGINNING = 1_700_000_000.0  # of the clock of a driver


class Progressing(Work):
    def __init__(self, progress, **options):
        super().__init__(parallel=True, **options)
        self.progress = progress


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        (0, 0.0),
        (1, 1.0),
        (0.25, 0.25),
        (7, 1.0),
        (-1, 0.0),
        ((3, 4), 0.75),
        ([3, 4], 0.75),
        ((5, 4), 1.0),
        ((0, 0), None),
        ((1, -2), None),
        ((1, 2, 3), None),
        (("a", "b"), None),
        ((True, 2), None),
        (math.nan, None),
        ((math.inf, 2), None),
        (None, None),
        (True, None),
        ("50%", None),
        ({}, None),
    ],
    ids=repr,
)
def test_progress_is_what_the_attribute_says_if_that_makes_sense(value, seen):
    assert read_work_progress(Progressing(value)) == seen


def test_a_work_without_the_attribute_has_no_progress():
    class WithMethod(Work):
        def progress(self):
            return 0.5

    assert read_work_progress(Work()) is None
    assert read_work_progress(WithMethod()) is None


def test_looking_at_the_progress_is_no_reading():
    driver = play(lambda flow: flow.work.run(), work=Progressing([0, 4]))

    assert read_work_progress(driver.root.work) == 0.0
    assert driver.root.work._node.touched == set()


def test_a_row_is_about_the_call_under_way():
    driver = play(lambda flow: [flow.work.run(n) for n in (1, 2)], work=Progressing((1, 4), retries=1))
    (supervisor,) = driver.machine.supervisors()
    row = snapshot_work(supervisor, {"root.work": 4711})
    assert row == WorkRow("root.work", "running", 1, 1, 0.25, BEGINNING, 4711)

    driver.fail("root.work")
    assert snapshot_work(supervisor, {})[:4] == ("root.work", "pending", 2, 0)
    driver.advance(1)
    assert snapshot_work(supervisor, {})[:4] == ("root.work", "running", 1, 2)
    assert snapshot_work(supervisor, {}).since == BEGINNING + 1

    driver.answer("root.work")
    assert snapshot_work(supervisor, {})[:4] == ("root.work", "running", 2, 1)
    driver.answer("root.work")
    assert snapshot_work(supervisor, {})[:4] == ("root.work", "succeeded", 2, 1)


def test_a_row_without_a_call_is_about_the_process():
    driver = play(lambda flow: None, work=Work())
    (supervisor,) = driver.machine.supervisors()

    assert snapshot_work(supervisor, {})[:4] == ("root.work", "started", 0, 0)


def test_a_summary_counts_calls_failures_and_their_time():
    def script(flow):
        flow.work.run(1)
        flow.work.run(2)

    driver = play(script, work=Work(parallel=True, raise_exception=False, retries=1, retry_delay=1))
    driver.clock.advance(2)
    driver.answer("root.work")
    driver.clock.advance(3)
    driver.fail("root.work")
    driver.advance(1)
    driver.clock.advance(4)
    driver.fail("root.work")

    assert summarize_work(driver.root.work, BEGINNING) == WorkSummary(
        "root.work", 2, 9.0, ("ValueError: no good, attempt 2 of 2",)
    )
    assert summarize_work(driver.root.work, BEGINNING + 100).num_calls == 0


def test_a_summary_counts_calls_that_are_not_remembered():
    def script(flow):
        if flow.number < 3:
            flow.work.run()
            flow.number += 1

    driver = play(script, work=Work(cache_calls=False), number=0)
    for _ in range(3):
        driver.answer("root.work")

    assert summarize_work(driver.root.work, BEGINNING) == WorkSummary("root.work", 3, None)


def test_a_summary_shows_a_work_that_could_not_start():
    driver = play(lambda flow: flow.work.start(), work=Work(raise_exception=False))
    driver.exit("root.work")
    driver.fail_start("root.work", "it can't be loaded")

    assert summarize_work(driver.root.work, BEGINNING).failures[-1] == "it can't be loaded"


def test_a_long_summary_is_cut():
    works = [WorkSummary(f"root.{n}", 1, 1.0, (f"E: {n}",)) for n in range(25)]
    lines = describe_run(EndSummary("Flow", "failed", 3661.0, works)).splitlines()

    assert lines[0] == "Flow failed after 1 h 1 min: 25 calls, 25 failed."
    assert lines[11] == "  ... and 15 works more with 15 calls"
    assert lines[12] == "  root.0 failed: E: 0"
    assert lines[22:] == ["  ... and 15 failures more"]


def test_nothing_in_a_summary_drives_a_terminal():
    works = [WorkSummary("root.a", 1, 1.0, ("E: \x1b[2J\nforged",))]

    assert "\x1b" not in describe_run(EndSummary("Flow", "stopped", 1.0, works))


@pytest.mark.parametrize(
    ("given", "variable", "wanted"),
    [
        (None, None, True),
        (None, "0", False),
        (None, "off", False),
        (None, "1", True),
        (True, "0", True),
        (False, "1", False),
    ],
)
def test_a_view_is_shown_unless_an_option_disables_it(given, variable, wanted):
    environ = {} if variable is None else {"LIGHTNING_LITE_VIEW": variable}

    assert RunOptions.resolve(view=given, environ=environ).view is wanted


def test_tables_in_notebooks_escape_what_is_the_users():
    class Evil(Work):
        def __init__(self):
            super().__init__(parallel=True, raise_exception=False)
            self.text = "<script>alert(1)</script>"

    flow = ScriptedFlow(lambda flow: flow.work.run("<i>"), work=Evil(), attribute="<b>")
    app = LightningApp(flow)

    for shown in (app, flow, flow.work):
        html = shown._repr_html_()
        assert "<script>" not in html
        assert "<b>'" not in html
    assert "&lt;script&gt;" in flow.work._repr_html_()
    assert "&lt;b&gt;" in flow._repr_html_()
    assert "<td>root.work</td>" in app._repr_html_()


def test_a_table_in_a_notebook_shows_calls_and_failures():
    driver = play(lambda flow: flow.work.run(), work=Work(parallel=True, raise_exception=False))
    driver.fail("root.work")

    html = driver.root.work._repr_html_()
    assert html.startswith("<b>root.work (Work): failed</b>")
    assert "<tr><td>1</td><td>failed</td><td>1</td><td>ValueError: no good</td></tr>" in html
    assert "<td>loss</td><td>0.0</td>" in html
