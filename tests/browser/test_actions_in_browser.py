"""Each action of the page on an app that runs: asked first, done, and seen."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.apps import App, running
from tests.browser.tabs import Tab
from tests.support.page_servers import Server, serving
from tests.support.processes import is_gone, wait_until_gone

Visit = Callable[..., Tab]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Path]]:
    root = tmp_path_factory.mktemp("controlled") / "root"
    with serving(LIGHTNING_LITE_ROOT=str(root)) as server:
        yield server, root


@pytest.fixture
def app(server: tuple[Server, Path], own_place: Path) -> Iterator[App]:
    with running(*server, own_place) as app:
        yield app


@pytest.fixture(scope="module")
def shared(server: tuple[Server, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """A running app that no test changes."""
    with running(*server, tmp_path_factory.mktemp("shared")) as app:
        yield app


@pytest.fixture
def overview(visit: Visit, app: App) -> Tab:
    return open_overview(visit, app)


def open_overview(visit: Visit, app: App) -> Tab:
    """Open the page of the run of an app."""
    tab = visit(app.server, f"/runs/{app.run}")
    expect(tab.page.locator('[data-work="root.tick"] [data-state=running]')).to_be_visible()
    return tab


def test_the_works_of_a_run_that_goes_on_are_not_cut(visit: Visit, shared: App):
    tab = open_overview(visit, shared)
    for width in (390, 760, 1101, 1120, 1199, 1200, 1280):
        tab.page.set_viewport_size({"width": width, "height": 800})
        widths = tab.page.locator(".work-table .row:visible").evaluate_all(
            "rows => rows.map(row => [row.scrollWidth, row.closest('.works').clientWidth])"
        )
        assert widths, width
        assert all(row <= card for row, card in widths), (width, widths)


def answer(tab: Tab, title: str, button: str) -> None:
    """Answer the question of an action."""
    question = tab.page.get_by_role("dialog", name=title)
    expect(question).to_be_visible()
    question.get_by_role("button", name=button).click()
    expect(question).to_have_count(0)


def test_a_work_is_restarted_and_stopped_and_then_its_run(overview: Tab, app: App):
    row = overview.page.locator('[data-work="root.tick"]')
    first = app.work("root.tick")["pid"]

    overview.click_row_action("root.tick", "Restart")
    answer(overview, "Restart root.tick?", "Cancel")
    assert not is_gone(first)
    assert not [address for address in overview.requests if address.endswith("/actions")]

    overview.click_row_action("root.tick", "Restart")
    answer(overview, "Restart root.tick?", "Restart")
    wait_until_gone(first)
    expect(overview.page.locator("[data-note]")).to_contain_text("root.tick")
    overview.wait_for(lambda: app.work("root.tick")["pid"] not in (None, first))
    second = app.work("root.tick")["pid"]
    expect(row).to_contain_text(str(second))

    overview.click_row_action("root.tick", "Stop")
    answer(overview, "Stop root.tick?", "Stop")
    expect(row.locator("[data-state=stopped]")).to_be_visible()
    wait_until_gone(second)

    overview.page.get_by_role("button", name="Stop", exact=True).click()
    answer(overview, "Stop this run?", "Cancel")
    assert app.process.poll() is None

    overview.page.get_by_role("button", name="Stop", exact=True).click()
    answer(overview, "Stop this run?", "Stop the run")
    expect(overview.page.locator(".run-head [data-state=interrupted]")).to_be_visible()
    assert app.process.wait(60) != 0
    expect(overview.page.get_by_role("button", name="Stop", exact=True)).to_have_count(0)


def test_a_work_is_killed_and_a_crash_is_told_from_it(overview: Tab, app: App):
    row = overview.page.locator('[data-work="root.tick"]')
    first = app.work("root.tick")["pid"]
    psutil.Process(first).kill()
    expect(row.get_by_title("Attempt 2")).to_be_visible()  # the attempt has failed and is repeated
    expect(overview.page.locator("[data-failures]")).to_contain_text("1 failed attempt")
    overview.wait_for(lambda: app.work("root.tick")["pid"] not in (None, first))

    second = app.work("root.tick")["pid"]
    overview.click_row_action("root.tick", "Kill")
    answer(overview, "Kill root.tick?", "Kill")
    expect(row.locator("[data-state=stopped]")).to_be_visible()
    wait_until_gone(second)
    expect(overview.page.locator("[data-failures]")).to_contain_text("1 failed attempt")


def test_stacks_are_shown(visit: Visit, shared: App):
    overview = open_overview(visit, shared)
    overview.click_row_action("root.tick", "Show the stack")
    text = overview.page.get_by_role("dialog")
    expect(text).to_contain_text("Stack of root.tick")
    expect(text).to_contain_text("ticking_app.py")
    overview.page.keyboard.press("Escape")
    expect(text).to_have_count(0)

    overview.page.get_by_role("button", name="More actions").click()
    overview.page.get_by_role("menuitem", name="Show the stack").click()
    expect(text).to_contain_text("Stack of the flow")
    expect(text).to_contain_text("LightningApp(Root()).run()")


def test_a_killed_app_does_no_action_is_shown_as_died_and_is_resumed(overview: Tab, app: App):
    overview.click_row_action("root.tick", "Stop")
    question = overview.page.get_by_role("dialog")
    app.process.kill()
    app.process.wait()
    question.get_by_role("button", name="Stop").click()
    note = overview.page.locator("[data-note] .note")
    expect(note).to_have_class("note bad")
    expect(note).to_contain_text(f"Run {app.run} is not running: its state is died.")

    head = overview.page.locator(".run-head")
    expect(head.locator("[data-state=died]")).to_be_visible()
    expect(overview.page.get_by_role("alert")).to_contain_text("The app died")
    overview.page.locator("[data-tab=timeline]").click()
    expect(overview.view("timeline").locator(".gantt-body canvas")).to_be_visible()

    overview.page.get_by_role("button", name="Resume").click()
    question = overview.page.get_by_role("dialog", name="Resume this run?")
    expect(question).to_contain_text("ticking_app.py")
    question.get_by_role("button", name="Resume").click()
    expect(head.locator("[data-state=running]")).to_be_visible()
    overview.wait_for(lambda: app.look()["run"]["pid"])
    pid = app.look()["run"]["pid"]
    assert pid != app.process.pid
    assert psutil.Process(pid).cwd() == os.getcwd()
    overview.page.locator("[data-tab=overview]").click()
    expect(overview.page.locator('[data-work="root.tick"] [data-state=running]')).to_be_visible()

    overview.page.get_by_role("button", name="More actions").click()
    overview.page.get_by_role("menuitem", name="Kill the run").click()
    answer(overview, "Kill this run?", "Kill the run")
    wait_until_gone(pid)
    expect(head.locator("[data-state=running]")).to_have_count(0)


def test_a_page_that_may_only_read_offers_no_action(visit: Visit, shared: App, server: tuple[Server, Path]):
    with serving("--root", server[1], "--read-only") as reader:
        tab = visit(reader, f"/runs/{shared.run}")
        expect(tab.page.locator('[data-work="root.tick"] [data-state=running]')).to_be_visible()
        expect(tab.page.get_by_text("read only", exact=True)).to_be_visible()
        assert tab.page.get_by_role("button", name="Stop").count() == 0
        tab.page.get_by_role("button", name="Actions of root.tick").click()
        expect(tab.page.get_by_role("menuitem", name="Download the log")).to_be_visible()
        assert tab.page.get_by_role("menuitem", name="Kill").count() == 0
        assert reader.post(f"/api/runs/{shared.run}/actions", command="kill").status == 403
        tab.check()
        tab.page.goto("about:blank")
