"""The token and the rules of the server, as a browser and its pages meet them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.tabs import Tab, open_tab
from tests.support.page_servers import Server
from tests.support.users import EVE, act_as, needs_users

pytestmark = pytest.mark.dependencies

Visit = Callable[..., Tab]


def test_the_token_leaves_the_address_and_stays_in_the_tab(visit: Visit, shown: Server):
    tab = visit(shown)

    expect(tab.view("runs")).to_contain_text("fine-tuning")
    assert tab.page.url == f"http://{shown.host}/"
    kept = tab.page.evaluate("JSON.stringify([{ ...localStorage }, document.cookie, history.state])")
    assert shown.token not in kept
    assert not [address for address in tab.requests[1:] if shown.token in address]

    tab.page.reload()
    expect(tab.view("runs")).to_contain_text("fine-tuning")


def test_the_address_of_a_view_stays_without_the_token(visit: Visit, shown: Server):
    tab = visit(shown, "/drives")

    expect(tab.view("drives")).to_contain_text("results")
    assert tab.page.url == f"http://{shown.host}/#/drives"


def test_without_a_token_the_page_asks_for_it(visit: Visit, shown: Server):
    tab = visit(shown, "/drives", token=False)

    for width in (1280, 390):
        tab.page.set_viewport_size({"width": width, "height": 800})
        expect(tab.page.get_by_role("heading")).to_have_text("Paste your token")
        expect(tab.page.get_by_role("button", name="Open")).to_be_visible()
    tab.page.get_by_label("Address or token").fill(shown.address)
    tab.page.get_by_role("button", name="Open").click()
    expect(tab.view("drives")).to_contain_text("results")


def test_a_wrong_token_says_what_to_do(visit: Visit, shown: Server):
    tab = visit(shown._replace(address=shown.address + "x"), clock=True)

    expect(tab.page.get_by_role("heading")).to_have_text("The server does not take this token")
    expect(tab.page.locator("main")).to_contain_text("Open the address that it printed in its terminal")
    asked = len(tab.requests)
    tab.page.clock.run_for(60_000)
    assert len(tab.requests) == asked, "a page whose token is refused asks no more"

    tab.page.get_by_label("Address or token").fill(shown.token)
    tab.page.keyboard.press("Enter")
    expect(tab.view("runs")).to_contain_text("fine-tuning")


def test_a_tab_that_a_link_opens_gets_a_copy_of_the_token(visit: Visit, shown: Server):
    first = visit(shown)
    expect(first.view("runs")).to_be_visible()

    ways: list[dict[str, Any]] = [{"modifiers": ["ControlOrMeta"]}, {"button": "middle"}]
    for way in ways:
        with first.page.context.expect_page() as opened:
            first.page.get_by_role("link", name="Drives").click(**way)
        expect(opened.value.locator("[data-view=drives]"), str(way)).to_contain_text("results")
        expect(first.view("runs"), str(way)).to_be_visible()


def test_another_tab_of_the_same_origin_gets_no_token(visit: Visit, shown: Server):
    first = visit(shown)
    expect(first.view("runs")).to_be_visible()

    # As a tab that was left open from an earlier server at this port.
    second = open_tab(first.page.context, shown, "/drives", token=False)
    expect(second.page.get_by_role("heading")).to_have_text("Paste your token")
    assert second.page.evaluate("sessionStorage.length") == 0


@contextmanager
def evil_site(text: str) -> Iterator[str]:
    """Serve a page of another site on this machine, and yield its address."""

    class Site(SimpleHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:
            """Print nothing for each request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def other_page(browser: Browser) -> Iterator[Page]:
    """A page of another site, to which tests only add something."""
    context = browser.new_context()
    with evil_site("<h1>Another site</h1>") as address:
        page = context.new_page()
        page.goto(address)
        yield page
        context.close()


ASK = """async ([url, options]) => {
  try {
    const answer = await fetch(url, options);
    return [answer.type, answer.status, await answer.text()];
  } catch (error) {
    return ["refused", 0, String(error)];
  }
}"""


def test_a_page_of_another_port_reads_nothing_even_with_the_token(other_page: Page, shown: Server):
    headers = {"Authorization": f"Bearer {shown.token}"}
    for path in ("/", "/static/main.js", "/api/runs", "/api/server"):
        url = f"http://{shown.host}{path}"
        assert other_page.evaluate(ASK, [url, {}])[0] == "refused"
        assert other_page.evaluate(ASK, [url, {"headers": headers}])[0] == "refused"
        assert other_page.evaluate(ASK, [url, {"mode": "no-cors"}]) in (
            ["opaque", 0, ""],
            ["refused", 0, "TypeError: Failed to fetch"],
        )


def test_a_page_of_another_port_loads_no_script_of_ours(other_page: Page, shown: Server):
    loaded = other_page.evaluate(
        """url => new Promise(done => {
          const script = document.createElement("script");
          script.onload = () => done("loaded");
          script.onerror = () => done("refused");
          script.src = url;
          document.head.append(script);
        })""",
        f"http://{shown.host}/static/main.js",
    )
    assert loaded == "refused"


def test_a_page_of_another_port_sees_nothing_in_a_frame(other_page: Page, shown: Server):
    other_page.evaluate(
        """url => {
          const frame = document.createElement("iframe");
          frame.src = url;
          document.body.append(frame);
        }""",
        f"http://{shown.host}/#token={shown.token}",
    )
    other_page.wait_for_timeout(500)
    frame = other_page.frames[-1]
    assert frame != other_page.main_frame
    assert frame.locator("[data-view]").count() == 0


def test_a_page_of_another_port_gets_no_handle_on_ours(other_page: Page, shown: Server):
    with other_page.expect_popup() as popup:
        other_page.evaluate("url => { window.handle = open(url) }", shown.address)
    expect(popup.value.locator("[data-view=runs]")).to_contain_text("fine-tuning")
    found = other_page.evaluate("""() => {
      try {
        return String(handle.sessionStorage.length) + handle.document.title;
      } catch (error) {
        return error.name;
      }
    }""")
    assert found in ("SecurityError", "TypeError")
    popup.value.close()


def test_a_name_that_leads_to_this_machine_is_refused(browser: Browser, shown: Server):
    page = browser.new_page()
    answer = page.goto(f"http://rebound.test:{shown.port}/#token={shown.token}")
    assert answer is not None
    assert answer.status == 421
    expect(page.locator("pre")).to_contain_text("use the address that it has printed")
    headers = {"Authorization": f"Bearer {shown.token}"}
    assert page.evaluate(ASK, ["/api/runs", {"headers": headers}])[1] == 421
    page.context.close()


@needs_users
def test_another_user_finds_the_token_nowhere_in_proc(visit: Visit, shown: Server):
    tab = visit(shown)
    expect(tab.view("runs")).to_be_visible()

    assert act_as(EVE, partial(files_with, shown.token.encode())) == []


def files_with(text: bytes) -> list[str]:
    """Return the files of other processes that this user can read and that contain a text."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        for name in ("cmdline", "environ", "comm"):
            path = os.path.join(folder, name)
            try:
                with open(path, "rb") as file:
                    if text in file.read():
                        found.append(path)
            except OSError:
                continue
    return found
