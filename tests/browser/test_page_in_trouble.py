"""The page with a broken part: an error stands in its place, and the other parts work."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from benchmarks.made_runs import make_run

from tests.browser.apps import running
from tests.browser.tabs import Tab
from tests.support.page_servers import Server, serving

Visit = Callable[..., Tab]


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with a run, to which tests add others."""
    root = tmp_path_factory.mktemp("trouble") / "root"
    make_run(str(root), app="First")
    return root


@pytest.fixture(scope="module")
def server(root: Path) -> Iterator[Server]:
    with serving("--root", root) as server:
        yield server


@pytest.fixture
def ending(root: Path) -> Iterator[Server]:
    """A server that the test ends."""
    with serving("--root", root) as server:
        yield server


def run_of(server: Server, app: str) -> str:
    [run] = [run for run in server.get("/api/runs").data["runs"] if run["app"] == app]
    return str(run["id"])


def test_a_server_that_ends_is_missed_and_a_new_one_is_found(visit: Visit, ending: Server, root: Path):
    tab = visit(ending, f"/runs/{run_of(ending, 'First')}/calls")
    expect(tab.page.locator("[data-call]").first).to_be_visible()
    tab.wait_for(lambda: any(address.endswith("/views/graph.js") for address in tab.requests))
    tab.wait_for_answers()
    ending.process.terminate()
    ending.process.communicate()
    expect(tab.page.locator("[data-lost]")).to_contain_text("start it with lightning-lite ui")
    expect(tab.page.locator("[data-call]").first).to_be_visible()

    # A view that is opened now has nothing to show.
    tab.page.get_by_role("tab", name="State").click()
    expect(tab.page.locator("#run-view [data-trouble]")).to_contain_text("The server does not answer")
    tab.page.get_by_role("tab", name="Calls").click()

    # The next server has the same port and a new token.
    with serving("--root", root, "--port", ending.port) as again:
        assert again.port == ending.port
        expect(tab.page.get_by_role("heading")).to_have_text("The server does not take this token")
        tab.page.get_by_label("Address or token").fill(again.address)
        tab.page.keyboard.press("Enter")
        expect(tab.page.locator("[data-call]").first).to_be_visible()
        names = tab.page.locator("[data-call]").evaluate_all("rows => rows.map(row => row.dataset.call)")
        assert names
        assert len(names) == len(set(names))


def test_a_view_that_can_not_be_loaded_says_so(visit: Visit, server: Server):
    tab = visit(server, token=False)  # without the token, the page does not load it ahead
    tab.page.route("**/views/graph.js", lambda route: route.abort())
    tab.page.get_by_label("Address or token").fill(server.token)
    tab.page.keyboard.press("Enter")
    tab.page.locator("[data-run] a").first.click()
    tab.page.get_by_role("tab", name="Graph").click()
    expect(tab.page.locator("#run-view [data-trouble]")).to_contain_text("this view can't be loaded")


def test_a_run_that_is_removed_while_it_is_shown(visit: Visit, server: Server, root: Path):
    gone = Path(make_run(str(root), app="Second"))
    tab = visit(server, f"/runs/{gone.name}")
    expect(tab.view("overview")).to_contain_text("root.works.0".rpartition(".")[2])
    shutil.rmtree(gone)
    expect(tab.page.get_by_role("alert").first).to_contain_text("There is no run")
    tab.page.get_by_role("link", name="Runs", exact=True).first.click()
    expect(tab.page.locator(f'[data-run="{run_of(server, "First")}"]')).to_be_visible()
    expect(tab.page.locator(f'[data-run="{gone.name}"]')).to_have_count(0)


def test_a_damaged_journal_says_so_and_other_runs_are_shown(visit: Visit, server: Server, root: Path):
    damaged = Path(make_run(str(root), app="Damaged"))
    journal = damaged / "journal.log"
    content = bytearray(journal.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40] = b"\0" * 40
    journal.write_bytes(content)
    tab = visit(server, f"/runs/{damaged.name}")
    expect(tab.page.locator("[data-trouble]").first).to_contain_text("journal")
    tab.page.get_by_role("link", name="Runs", exact=True).first.click()
    expect(tab.page.locator(f'[data-run="{damaged.name}"]')).to_be_visible()
    tab.page.get_by_role("link", name=run_of(server, "First")).click()
    expect(tab.view("overview")).to_be_visible()
    expect(tab.page.locator("[data-trouble]")).to_have_count(0)


def test_a_suspended_app_does_not_slow_another_run(visit: Visit, server: Server, root: Path, own_place: Path):
    with running(server, root, own_place) as app:
        tab = visit(server, f"/runs/{app.run}")
        expect(tab.page.locator('[data-work="root.tick"] [data-state=running]')).to_be_visible()
        os.kill(app.process.pid, signal.SIGSTOP)
        try:
            expect(tab.page.locator(".run-head")).to_contain_text("does not answer")
            other = visit(server)
            began = time.monotonic()
            other.go(f"/runs/{run_of(server, 'First')}")
            expect(other.view("overview")).to_contain_text("3 works")
            print(f"another run at the same time: {time.monotonic() - began:.2f} s")  # noqa: T201
        finally:
            os.kill(app.process.pid, signal.SIGCONT)
        expect(tab.page.locator(".run-head")).not_to_contain_text("does not answer")


def test_a_download_has_the_bytes_and_its_address_works_once(visit: Visit, shown: Server):
    tab = visit(shown, "/drives")
    tab.page.get_by_role("link", name="lit://results").click()
    with tab.page.expect_download() as started:
        tab.page.get_by_role("button", name="Download report.html").click()
    download = started.value
    assert download.suggested_filename == "report.html"
    root = Path(shown.get("/api/server").data["root"])
    assert (
        Path(download.path()).read_bytes() == (root / "drives/results/root.report/report.html").read_bytes()
    )
    address = download.url.partition(shown.host)[2]
    assert address.startswith("/download/")
    assert shown.send("GET", address, token=False).status == 410
