"""Pages of Streamlit and Panel in a real browser: they are drawn again when the state has changed."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from lightning_lite.components import ServeStreamlit
from lightning_lite.errors import ComponentError
from lightning_lite.sockets import find_free_port, is_answering
from lightning_lite.testing import poll_until

from tests.browser.conftest import find_browser
from tests.support.processes import DEADLINE, finish, run_python, starting, wait_until_gone

for package in ("streamlit", "panel"):
    pytest.importorskip(package, reason="only in `make test-ml`")

FOLDER = Path(__file__).parent

ALONE = """
import streamlit
from lightning_lite.components import ServeStreamlit

class Page(ServeStreamlit):
    def __init__(self):
        super().__init__(port={port})
        self._node_address = "127.0.0.2"  # as on the machine with this address
        self.number = 3

    def render(self):
        streamlit.title(f"Alone with {{self.number}}")

Page().run()
"""

#: Milliseconds within which a page must be there.
PATIENCE = DEADLINE * 1000


# For the module: the folders of a test are too long for the socket of the browser.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    program = find_browser()
    if not program:
        pytest.skip("no browser: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, chromium_sandbox=os.geteuid() != 0)
        yield browser
        browser.close()


def write(name: str, text: object) -> None:
    Path(f"{name}.new").write_text(str(text))
    os.replace(f"{name}.new", name)


def addresses() -> dict[str, str]:
    files = list(Path(os.environ["LIGHTNING_LITE_ROOT"]).glob("runs/*/layout.json"))
    try:
        tabs = json.loads(files[0].read_text())["tabs"] if files else []
    except ValueError:
        return {}
    return {tab["name"]: tab["url"] for tab in tabs if tab["url"]}


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(url)
    return page


def see(page: Page, text: str) -> None:
    expect(page.get_by_text(text)).to_be_visible(timeout=PATIENCE)


@pytest.mark.timeout(240)
def test_pages_are_drawn_again_when_what_they_have_read_has_changed(own_place: Path, browser: Browser):
    with starting() as start:
        app = start(FOLDER / "redrawn_app.py")
        poll_until(lambda: len(addresses()) == 2, DEADLINE)
        streamlit = opened(browser, addresses()["Streamlit"])
        panel = opened(browser, addresses()["Panel"])
        for text in ("one", "two"):
            write("text.txt", text)
            see(streamlit, f"Streamlit shows {text}")
            see(panel, f"Panel shows {text}")

        # `unread` changes all the time, and has drawn nothing.
        draws = Path("draws.txt").read_text()
        assert len(draws) <= 4
        streamlit.get_by_role("textbox").fill("stop")
        streamlit.get_by_role("textbox").press("Enter")
        poll_until(lambda: len(Path("draws.txt").read_text()) > len(draws), DEADLINE)
        write("text.txt", "three")
        see(streamlit, "Streamlit shows three")  # also after `streamlit.stop()`
        app.terminate()
        assert app.wait(DEADLINE) == 143


@pytest.mark.timeout(240)
def test_a_work_draws_its_page_with_its_attributes_and_one_model(own_place: Path, browser: Browser):
    write("number.txt", 1)
    with starting() as start:
        app = start(FOLDER / "streamlit_app.py")
        poll_until(Path("url.txt").exists, DEADLINE)
        url = Path("url.txt").read_text()
        pages = [opened(browser, url), opened(browser, url)]
        for page in pages:
            see(page, "Model of Ada: 2 m")
        write("number.txt", 3)
        for page in pages:
            see(page, "Model of Ada: 6 m")
        pages[0].get_by_role("button", name="Add").click()
        for page in pages:
            see(page, "Model of Ada, Bob: 6 m")
        assert (
            poll_until(lambda: Path("names.txt").exists() and Path("names.txt").read_text(), DEADLINE)
            == "Ada,Bob"
        )
        builders = Path("built.txt").read_text().split()  # one line for each call of `build_model`
        write("number.txt", 0)
        out = finish(app)[1]
    assert len(builders) == 1
    wait_until_gone(int(builders[0]))
    assert "The page has stopped." in out


@pytest.mark.timeout(240)
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -9)])
def test_the_server_of_a_page_ends_with_its_app(own_place: Path, browser: Browser, signum, code):
    write("number.txt", 1)
    with starting() as start:
        app = start(FOLDER / "streamlit_app.py")
        poll_until(Path("url.txt").exists, DEADLINE)
        see(opened(browser, Path("url.txt").read_text()), "Model of Ada: 2 m")
        server = int(Path("built.txt").read_text())
        app.send_signal(signum)
        returned = finish(app)[0]
        wait_until_gone(server)
    assert returned in (code, -signum)


@pytest.mark.timeout(240)
def test_the_server_of_a_page_ends_with_its_work(own_place: Path, browser: Browser):
    write("number.txt", 1)
    with starting() as start:
        app = start(FOLDER / "streamlit_app.py")
        poll_until(Path("url.txt").exists, DEADLINE)
        see(opened(browser, Path("url.txt").read_text()), "Model of Ada: 2 m")
        server = psutil.Process(int(Path("built.txt").read_text()))
        os.kill(server.ppid(), signal.SIGKILL)
        code, _, err = finish(app)
        wait_until_gone(server.pid)
    assert code == 1
    assert "The process of root.page" in err


@pytest.mark.timeout(240)
def test_a_work_without_an_app_draws_its_page_at_its_address(own_place: Path, browser: Browser):
    port = find_free_port("127.0.0.1")
    Path("alone.py").write_text(ALONE.format(port=port))
    with starting() as start:
        start("alone.py")
        poll_until(lambda: is_answering("127.0.0.2", port), DEADLINE)
        see(opened(browser, f"http://127.0.0.2:{port}"), "Alone with 3")

        done = run_python("alone.py")
    assert done.returncode == 1
    assert re.search(rf"Page can.t serve at port {port}: .* uses it\.", done.stderr)


def test_a_page_without_render_is_refused():
    class Page(ServeStreamlit):
        pass

    with pytest.raises(ComponentError, match="Page` is missing the `render"):
        Page()
