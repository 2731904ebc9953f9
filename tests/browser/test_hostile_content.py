"""Texts of users are never markup, wherever they come from, and files of users can't reach the page."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from playwright.sync_api import expect

from lightning_lite.clock import Moment
from lightning_lite.engine.recorder import Recorder
from lightning_lite.events import (
    CallAsked,
    CallFailed,
    CallStatusChanged,
    ComponentAttached,
    RunBegun,
    StateReported,
)
from lightning_lite.messages import Failure
from lightning_lite.runs.journal import Journal
from lightning_lite.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.values.codec import encode

from tests.browser.hostile_app import NAMES
from tests.browser.tabs import Tab
from tests.support.page_servers import Server, serving
from tests.support.processes import run_python
from tests.support.run_folders import new_run

Visit = Callable[..., Tab]

APP = Path(__file__).with_name("hostile_app.py")

#: Parts of markup that runs code if it is taken as such.
IMAGE = "<img src=x onerror=window.pwned='%s'>"


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of a run whose texts are markup, and of a run whose journal has names that are no names."""
    folder = tmp_path_factory.mktemp("hostile")
    root = folder / "root"
    ended = run_python(APP, cwd=folder, env={**os.environ, "LIGHTNING_LITE_ROOT": str(root)})
    assert ended.returncode == 1, ended.stderr
    make_odd_run(str(root))
    with serving("--root", root) as server:
        yield server


def make_odd_run(root: str) -> None:
    """Make a run with markup where an app can have none: in names of the app, of works and attributes."""
    work, began = f"root.{IMAGE % 'work'}", 1_700_000_000.0
    run = new_run(root, app=IMAGE % "app", identity=IMAGE % "identity", command=["python", IMAGE % "word"])
    failure = (
        WorkFailureReasons.USER_EXCEPTION,
        IMAGE % "message",
        f'  File "{IMAGE % "file"}", line 1, in run',
    )
    status = WorkStatus(WorkStageStatus.FAILED, began + 2, *failure[:2], 1, failure[2])
    with closing(Recorder(Journal.create(run.path, IMAGE % "identity"))) as recorder:
        recorder.record(
            [
                RunBegun(began),
                ComponentAttached("root", began, False, (IMAGE % "module", IMAGE % "class"), {}),
                ComponentAttached(work, began, True, (IMAGE % "module", IMAGE % "class"), {}),
                StateReported(
                    work, began, {IMAGE % "attribute": encode(1.5, ""), "text": encode(IMAGE % "value", "")}
                ),
                CallAsked(work, IMAGE % "key", began + 1, 1, pickle.dumps(((IMAGE % "argument",), {}))),
                CallStatusChanged(work, IMAGE % "key", began + 2, 1, status),
                CallFailed(work, IMAGE % "key", began + 2, Failure(*failure)),
            ],
            Moment(0.0, 0.0),
        )
    Path(run.logs, f"{work}.log").write_text(f"{IMAGE % 'line'}\n")
    run.note_end(IMAGE % "state", {IMAGE % "stage": 1}, IMAGE % "error")


@pytest.fixture
def runs(hostile: Server) -> list[str]:
    """The ids of both runs, the odd one first."""
    return [run["id"] for run in hostile.get("/api/runs").data["runs"]]


#: The views of a run: the element of each, and which of the texts is in it.
VIEWS = {
    "": ("[data-view=overview]", "message"),
    "/timeline": ("[data-view=timeline]", "work"),
    "/logs": ("[data-log]", "line"),
    "/logs?q=img": ("[data-hits]", "line"),
    "/calls": ("[data-view=calls]", "argument"),
    "/state": ("[data-view=state]", "value"),
    "/graph": ("[data-view=graph]", ""),
    "/numbers": ("[data-view=numbers]", "attribute"),
}


def test_names_that_are_markup_are_shown_as_text(visit: Visit, hostile: Server, runs: list[str]):
    tab = visit(hostile)
    expect(tab.view("runs")).to_contain_text(IMAGE % "app")
    expect(tab.view("runs")).to_contain_text(IMAGE % "state")
    assert tab.page.locator("main img").count() == 0
    for view, (selector, text) in VIEWS.items():
        tab.go(f"/runs/{runs[0]}{view}")
        expect(tab.page.locator(selector)).to_contain_text(text)
        assert tab.page.locator("main img").count() == 0, view
        tab.check()

    tab.go(f"/runs/{runs[0]}/calls")
    tab.page.locator("[data-call] a").first.click()
    expect(tab.view("call")).to_contain_text(IMAGE % "argument")
    expect(tab.view("call")).to_contain_text(IMAGE % "message")
    tab.go(f"/compare?run={runs[0]}&run={runs[1]}")
    expect(tab.view("compare")).to_be_visible()
    tab.go(f"/runs/{IMAGE % 'address'}/{IMAGE % 'view'}")
    expect(tab.page.get_by_role("alert").first).to_be_visible()


def test_texts_of_an_app_are_shown_as_text(visit: Visit, hostile: Server, runs: list[str]):
    tab = visit(hostile, f"/runs/{runs[1]}")
    expect(tab.page.get_by_role("alert").first).to_contain_text("<script>window.pwned='end'</script>")
    tab.go(f"/runs/{runs[1]}/logs")
    expect(tab.page.locator("[data-log]")).to_contain_text("<script>window.pwned='colour'</script>")
    assert tab.page.locator("[data-log] a, [data-log] img, [data-log] script").count() == 0
    tab.go(f"/runs/{runs[1]}/state")
    expect(tab.view("state")).to_contain_text("window.pwned='key'")
    tab.go(f"/runs/{runs[1]}/call?work=root.fail_work&number=1")
    expect(tab.view("call")).to_contain_text("window.pwned='error'")
    tab.page.get_by_role("button", name="Traceback", exact=True).click()
    expect(tab.page.get_by_role("dialog")).to_contain_text("window.pwned='class'")


def test_names_and_contents_of_files_are_shown_as_text(visit: Visit, hostile: Server):
    tab = visit(hostile, "/drives")
    tab.page.get_by_role("link", name="hostile").click()
    for name in NAMES:
        tab.page.get_by_role("link", name=name, exact=True).click()
        expect(tab.page.locator("[data-preview=text]")).to_contain_text("window.pwned='content'")
        expect(tab.page.locator("#shown-title")).to_have_text(name)
    tab.page.get_by_role("link", name="table.csv", exact=True).click()
    expect(tab.page.locator("[data-preview=table]")).to_contain_text("window.pwned='cell'")
    assert tab.page.locator("main img").count() == 0


def test_a_page_or_picture_of_a_user_reaches_nothing(visit: Visit, hostile: Server):
    tab = visit(hostile, "/drives")
    tab.page.get_by_role("link", name="hostile").click()
    for name in ("page.html", "picture.svg"):
        asked = len(tab.requests)
        tab.page.get_by_role("link", name=name, exact=True).click()
        expect(tab.page.locator("iframe"), name).to_have_attribute("sandbox", "allow-scripts")
        frame = tab.page.frame_locator("iframe")
        expect(frame.locator("h1" if name == "page.html" else "circle"), name).to_have_count(1)

        # Its scripts run, but it has an origin of its own: neither storage nor page nor server.
        expect(frame.locator("p"), name).to_have_text("SecurityError SecurityError refused")
        previews = [address for address in tab.requests[asked:] if "/preview/" in address]
        assert previews, name
        assert tab.page.url.startswith(f"http://{hostile.host}/#/drives/"), name
        # The address of a preview works once.
        path = previews[0].partition(hostile.host)[2]
        assert hostile.send("GET", path, token=False).status == 410, name
    frame_errors = ("Refused", "Blocked", "violates", "Unsafe attempt", "Ignored call to 'alert", "sandbox")
    tab.errors[:] = [error for error in tab.errors if not any(word in error for word in frame_errors)]
    tab.requests[:] = [address for address in tab.requests if "elsewhere.test" not in address]


def test_a_script_can_not_make_markup_of_a_text(visit: Visit, hostile: Server):
    tab = visit(hostile)
    expect(tab.view("runs")).to_be_visible()
    # Later, because the browser lets what the test itself evaluates call `eval`.
    refused = tab.page.evaluate("""() => new Promise(done => setTimeout(() => {
      const tried = [
        () => document.body.insertAdjacentHTML("beforeend", "<b>x</b>"),
        () => { document.body.innerHTML = "<b>x</b>" },
        () => document.write("<b>x</b>"),
        () => eval("1"),
        () => new Function("1"),
      ];
      done(tried.map(attempt => { try { attempt(); return "done" } catch (error) { return error.name } }));
    }))""")
    assert set(refused) <= {"TypeError", "EvalError"}
    tab.page.evaluate("""() => {
      const script = document.createElement("script");
      try { script.text = "window.pwned = 'script'" } catch {}
      document.body.append(script);
    }""")
    tab.errors.clear()  # the browser reports what it refused
