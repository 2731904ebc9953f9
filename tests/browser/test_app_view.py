"""The view of flows: tabs, tabs in tabs, a tab that appears; and the limits of a page in a frame."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Frame, FrameLocator, expect

from lightning_lite.testing import poll_until

from tests.browser.apps import App, running
from tests.browser.tabs import Tab
from tests.browser.test_page_layout import AXE, SHAPES, problems_of
from tests.support.page_servers import Server, serving
from tests.support.processes import DEADLINE

pytestmark = pytest.mark.dependencies

Visit = Callable[..., Tab]

SCRIPT = Path(__file__).with_name("layout_app.py")


@contextmanager
def showing(root: Path, folder: Path) -> Iterator[App]:
    """Run an app with three frontends, all of which answer, and a server of its own."""
    with serving(LIGHTNING_LITE_ROOT=str(root)) as server, running(server, root, folder, SCRIPT) as app:
        poll_until(lambda: len(addresses(app)) == 3, DEADLINE)
        yield app


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[App]:
    """An app for tests that do not change it."""
    folder = tmp_path_factory.mktemp("shown-app")
    with showing(folder / "root", folder) as app:
        yield app


@pytest.fixture
def own_app(own_place: Path) -> Iterator[App]:
    """An app for one test, in its working directory."""
    with showing(Path(os.environ["LIGHTNING_LITE_ROOT"]), own_place) as app:
        yield app


def addresses(app: App) -> dict[str, str]:
    """Return the address of each page that the app shows now, by the name of its tab."""

    def pages(tab: Any) -> dict[str, str]:
        found = {tab["name"]: tab["url"]} if tab["url"] else {}
        for inner in tab["tabs"]:
            found |= pages(inner)
        return found

    root = app.server.get(f"/api/runs/{app.run}/layout").data["root"]
    return {} if root is None else pages(root)


def look(visit: Visit, app: App, view: str = "/app", **options: Any) -> Tab:
    """Open the view of the app, which may ask its own pages."""
    tab = visit(app.server, f"/runs/{app.run}{view}", **options)
    tab.frames.extend(origin_of(url) for url in addresses(app).values())
    return tab


def origin_of(url: str) -> str:
    return "/".join(url.split("/")[:3]) + "/"


def content(tab: Tab, name: str) -> FrameLocator:
    """Return the page in the frame of a tab: there is a document of ours around it."""
    return tab.page.frame_locator(f'iframe[title="{name}"]').frame_locator("iframe")


def test_tabs_show_pages_and_inner_tabs(visit: Visit, app: App):
    tab = look(visit, app)
    expect(content(tab, "Home").get_by_role("heading")).to_have_text("The page of home")
    expect(tab.page.get_by_role("tab", name="Waiting")).to_be_visible()

    content(tab, "Home").get_by_label("Note").fill("kept")
    tab.page.get_by_role("tab", name="Group").click()
    inner = tab.page.get_by_role("tablist", name="Tabs of Group")
    expect(inner.get_by_role("tab")).to_have_text(["First", "Second"])
    expect(content(tab, "First").get_by_role("heading")).to_have_text("The page of first")
    inner.get_by_role("tab", name="Second").click()
    expect(content(tab, "Second").get_by_role("heading")).to_have_text("The page of second")
    assert "tab=Group&tab=Second" in tab.page.url

    tab.page.get_by_role("tab", name="Waiting").click()
    expect(tab.view("app")).to_contain_text("It has no address now.")
    tab.page.get_by_role("tab", name="Home").click()
    expect(content(tab, "Home").get_by_label("Note")).to_have_value("kept")

    tab.page.get_by_role("button", name="Load again").first.click()
    expect(content(tab, "Home").get_by_label("Note")).to_have_value("")


def test_a_link_leads_to_an_inner_tab(visit: Visit, app: App):
    tab = look(visit, app, "/app?tab=Group%26tab=Second")
    expect(content(tab, "Second").get_by_role("heading")).to_have_text("The page of second")
    tab.go(f"/runs/{app.run}/app?tab=None")  # the first one
    expect(content(tab, "Home").get_by_role("heading")).to_have_text("The page of home")


def test_a_tab_appears_when_its_work_serves_and_an_ended_run_says_so(visit: Visit, own_app: App):
    tab = look(visit, own_app)
    expect(content(tab, "Home").get_by_role("heading")).to_be_visible()
    expect(tab.page.get_by_role("tab", name="Late")).to_have_count(0)

    Path("serve").touch()
    tab.page.get_by_role("tab", name="Late").click()
    tab.frames.append(origin_of(addresses(own_app)["Late"]))
    expect(content(tab, "Late").get_by_role("heading")).to_have_text("The work serves")

    own_app.process.terminate()
    expect(tab.page.locator("[data-ended]")).to_contain_text("The run has ended")
    expect(tab.page.locator("iframe")).to_have_count(0)
    expect(tab.view("app")).to_contain_text("The run has ended.")
    assert addresses(own_app) == {}


def inner_frame(tab: Tab, app: App) -> Frame:
    """Return the frame with the page of a flow."""
    expect(content(tab, "Home").locator("#found")).not_to_be_empty()
    [frame] = [frame for frame in tab.page.frames if frame.url.startswith(addresses(app)["Home"])]
    return frame


def test_a_page_in_a_frame_can_t_get_the_token(visit: Visit, app: App):
    tab = look(visit, app)
    frame = inner_frame(tab, app)
    own = origin_of(addresses(app)["Home"])[:-1]

    found = dict(each.split(": ", 1) for each in frame.locator("#found").inner_text().split("; "))
    assert found == {
        "storage of the page": "SecurityError",
        "storage around": "SecurityError",
        "document of the page": "SecurityError",
        "document around": "SecurityError",
        "address of the page": "SecurityError",
        "opener": "null",
        "own storage": "{}",
        "own cookies": "",
        "own origin": own,
    }
    assert app.server.token not in frame.content()
    assert frame.evaluate("document.referrer") == ""

    asked = frame.evaluate(
        """url => fetch(url, { headers: { Authorization: "Bearer guess" } })
             .then(answer => answer.text(), error => error.name)""",
        f"http://{app.server.host}/api/runs",
    )
    assert asked == "TypeError"
    tab.errors.clear()  # the browser says that it has refused it


def test_a_page_in_a_frame_can_t_lead_the_page_elsewhere(visit: Visit, app: App):
    tab = look(visit, app)
    frame = inner_frame(tab, app)
    before = tab.page.url

    for target in ("top", "parent"):
        assert frame.evaluate(
            f"""() => {{
              try {{ {target}.location.href = "{addresses(app)["Home"]}"; return "went"; }}
              catch (error) {{ return error.name; }}
            }}"""
        ) in ("SecurityError", "went")
    tab.page.wait_for_timeout(300)
    assert tab.page.url == before
    expect(content(tab, "Home").get_by_role("heading")).to_be_visible()
    assert all("navigat" in error for error in tab.errors)
    tab.errors.clear()


def test_the_document_around_a_page_allows_its_origin_only(app: App):
    url = addresses(app)["Home"]
    ticket = app.server.post("/api/tickets", kind="frame", run=app.run, url=url).data["url"]
    reply = app.server.send("GET", ticket, token=False)

    policy = reply.headers["content-security-policy"]
    assert f"frame-src {origin_of(url)[:-1]};" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert b"allow-top-navigation" not in reply.body
    assert app.server.send("GET", ticket, token=False).status == 410
    page = app.server.send("GET", "/", token=False).headers["content-security-policy"]
    assert "frame-src 'self';" in page


@pytest.mark.parametrize(
    "url", ["https://evil.example/", "http://127.0.0.1:{port}/", "javascript:alert(1)", ""]
)
def test_a_frame_shows_no_other_address(app: App, url: str):
    reply = app.server.post("/api/tickets", kind="frame", run=app.run, url=url.format(port=app.server.port))
    assert reply.status == 404, reply


def test_a_ticket_is_for_one_kind_of_address(app: App):
    url = addresses(app)["Home"]
    frame = app.server.post("/api/tickets", kind="frame", run=app.run, url=url).data["url"]
    assert app.server.send("GET", frame.replace("/frame/", "/download/"), token=False).status == 404
    trace = app.server.post("/api/tickets", kind="trace", run=app.run).data["url"]
    assert app.server.send("GET", trace.replace("/download/", "/frame/"), token=False).status == 404


def test_the_tabs_by_keys(visit: Visit, app: App):
    tab = look(visit, app, "")
    expect(tab.view("overview")).to_be_visible()
    tab.page.keyboard.press("8")
    expect(tab.view("app")).to_be_visible()
    tab.page.get_by_role("tab", name="Home").focus()
    tab.page.keyboard.press("ArrowRight")
    expect(tab.page.get_by_role("tab", name="Group")).to_be_focused()
    tab.page.keyboard.press("Enter")
    expect(content(tab, "First").get_by_role("heading")).to_be_visible()
    tab.page.keyboard.press("ArrowLeft")
    tab.page.keyboard.press("ArrowLeft")
    expect(tab.page.get_by_role("tab", name="Waiting")).to_be_focused()


@pytest.mark.parametrize("shape", SHAPES)
def test_no_tab_is_cut_or_has_a_barrier(visit: Visit, app: App, shape: str):
    tab = look(visit, app, "/app?tab=Group", **SHAPES[shape])
    tab.page.evaluate(AXE.read_text())
    expect(content(tab, "First").get_by_role("heading")).to_be_visible()
    assert not problems_of(tab, shape, "app")
    box = tab.page.locator('iframe[title="First"]').bounding_box()
    assert box is not None
    assert box["height"] > 300


def test_a_run_without_a_layout_has_no_such_tab(visit: Visit, shown: Server):
    run = shown.get("/api/runs").data["runs"][0]["id"]
    tab = visit(shown, f"/runs/{run}")
    expect(tab.view("overview")).to_be_visible()
    expect(tab.page.get_by_role("tab", name="App")).to_have_count(0)
    tab.go(f"/runs/{run}/app")
    expect(tab.view("app")).to_contain_text("The flows of this run show nothing.")
