"""The server of the page, a client that asks it as a page does, and a real browser."""

from __future__ import annotations

import json
import os
import select
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.client import HTTPConnection
from typing import Any
from urllib.parse import quote

import psutil

from benchmarks.programs import DEADLINE, NoFigure, environment

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Without these, a browser asks servers of its maker for news, and a root user can't start it.
_OPTIONS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-sync",
    "--no-first-run",
]

#: Seconds over which the CPU time of the browser is compared, and the part of it that counts as idle.
_IDLE_INTERVAL = 0.3
_IDLE_SHARE = 0.1


class Server:
    """A server in a process of its own; `address` has its token."""

    def __init__(self, process: subprocess.Popen[bytes], address: str) -> None:
        self.address = address
        self._process = psutil.Process(process.pid)

    def memory(self) -> float:
        """Return the memory that only this process has, in MiB."""
        return self._process.memory_full_info().uss / 2**20

    def url(self, view: str) -> str:
        """Return the address of a view."""
        return f"{self.address}&to={quote(view)}"


@contextmanager
def serving(root: str) -> Iterator[Server]:
    """Start a server for a root, and end it after the block."""
    words = ["-m", "lightning_lite", "ui", "--no-browser", "--port", "0", "--root", root]
    process = subprocess.Popen([sys.executable, *words], env=environment(), stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        if not select.select([process.stdout], [], [], DEADLINE)[0]:
            raise NoFigure("the server printed no address")
        line = process.stdout.readline().decode()
        if "#token=" not in line:
            raise NoFigure(f"the server printed {line!r} in place of an address")
        yield Server(process, line.split()[-1])
    finally:
        process.kill()
        process.communicate()


class Client:
    """Asks a server as the page does: with the token and the tag of the last answer, over one connection.

    Args:
        address: Address of the page, with the token.
    """

    def __init__(self, address: str) -> None:
        place, _, token = address.partition("/#token=")
        self._connection = HTTPConnection(place.removeprefix("http://"), timeout=DEADLINE)
        self._headers = {"Authorization": f"Bearer {token.partition('&')[0]}"}
        self._answers: dict[str, tuple[str, Any]] = {}

    def get(self, path: str) -> Any:
        """Return the newest answer of an address."""
        tag, known = self._answers.get(path, ("", None))
        self._connection.request("GET", path, headers={**self._headers, "If-None-Match": tag})
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status == 304:
            return known
        if answer.status != 200:
            raise NoFigure(f"{path}: {answer.status} {body[:200]!r}")
        self._answers[path] = answer.headers["ETag"], json.loads(body)
        return self._answers[path][1]


def look_at(client: Client, run: str) -> None:
    """Ask for all that the views of a run show, until the server has read the whole journal."""
    path = f"/api/runs/{run}"
    while True:
        found = client.get(path)
        works = "&".join(f"work={quote(work['name'])}" for work in found["works"][:30])
        client.get(f"{path}/timeline?px=900&{works}")
        for view in ("state", "calls", "logs", "graph", "numbers"):
            client.get(f"{path}/{view}")
        if found["read"]["bytes"] >= found["read"]["of"]:
            return


def watch(address: str) -> None:
    """Ask for the overview and the timeline of the running app, as often as the page, until killed."""
    client = Client(address)
    path = f"/api/runs/{running_run(address)}"
    due: dict[str, float] = {}
    while True:
        works = "&".join(f"work={quote(work['name'])}" for work in client.get(path)["works"])
        views = {path: 0.5, f"{path}/usage": 2.0, f"{path}/timeline?px=900&{works}": 1.0}
        for view, period in views.items():
            began = time.monotonic()
            if began >= due.get(view, 0.0):
                client.get(view)
                ended = time.monotonic()
                due[view] = ended + max(period, 4 * (ended - began))
        _pause(min(due.values()) - time.monotonic())


def watch_in_browser(address: str) -> None:
    """Show the overview of the running app in a browser, until killed."""
    run = running_run(address)
    with browsing() as browser:
        tab = browser.new_page()
        tab.goto(f"{address}&to={quote(f'/runs/{run}')}")
        tab.wait_for_timeout(DEADLINE * 1000)


def running_run(address: str) -> str:
    """Wait until a run has begun, and return its id."""
    client = Client(address)
    while not (running := [run for run in client.get("/api/runs")["runs"] if run["state"] == "running"]):
        _pause(0.1)
    return str(running[0]["id"])


def _pause(seconds: float) -> None:
    threading.Event().wait(max(0.0, seconds))


@contextmanager
def watching(server: Server, watcher: str) -> Iterator[None]:
    """Let a process watch the run that is still running, as an open page does.

    Args:
        server: The server.
        watcher: Name of the function above that does it.
    """
    program = f"from benchmarks.page import {watcher}; {watcher}({server.address!r})"
    process = subprocess.Popen([sys.executable, "-c", program], env=environment(), stderr=subprocess.PIPE)
    try:
        yield
    finally:
        has_ended = process.poll() is not None
        family = [] if has_ended else psutil.Process(process.pid).children(recursive=True)
        for member in (process, *family):  # the browser, too
            with suppress(psutil.NoSuchProcess):
                member.kill()
        _, printed = process.communicate()
    if has_ended:
        raise NoFigure(f"the watcher has ended: {printed.decode()[-1000:]}")


@contextmanager
def browsing() -> Iterator[Any]:
    """Give a browser of playwright, which starts the Chromium of this machine.

    Raises:
        NoFigure: There is no Chromium, or no playwright.
    """
    program = next(filter(None, map(shutil.which, _BROWSERS)), None)
    if program is None:
        raise NoFigure("there is no Chromium or Chrome")
    try:
        from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only the rows with a browser need it
    except ImportError:
        raise NoFigure("playwright is missing: pip install playwright") from None
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=os.path.realpath(program), args=_OPTIONS)
        try:
            yield browser
        finally:
            browser.close()


def _wait_until_idle() -> None:
    """Wait until the child processes use no CPU.

    A new window of the browser loads pages of its own at first, which are no part of a first paint.
    """
    deadline = time.monotonic() + DEADLINE
    before = _cpu_time()
    while time.monotonic() < deadline:
        _pause(_IDLE_INTERVAL)
        now = _cpu_time()
        if now - before < _IDLE_SHARE * _IDLE_INTERVAL:
            return
        before = now
    raise NoFigure("the browser does not become idle")


def _cpu_time() -> float:
    total = 0.0
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            total += sum(process.cpu_times()[:2])
    return total


def first_paint(browser: Any, address: str, is_shown: str) -> float:
    """Return the seconds from the navigation to the frame in which a view shows its content.

    Args:
        browser: The browser.
        address: Address of the view.
        is_shown: Expression of JavaScript that is true when the content is there.
    """
    script = f"""(() => {{
        const look = () => {{
            if ({is_shown}) requestAnimationFrame(() => {{ window.shownAt = performance.now(); }});
            else requestAnimationFrame(look);
        }};
        look();
    }})()"""
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    try:
        page = context.new_page()
        page.add_init_script(script)
        _wait_until_idle()
        page.goto(address)
        deadline = time.monotonic() + DEADLINE
        while (shown := page.evaluate("window.shownAt")) is None:
            if time.monotonic() > deadline:
                raise NoFigure(f"nothing is shown: {page.evaluate('document.body.innerText')[:300]!r}")
            page.wait_for_timeout(50)
        return float(shown) / 1000
    finally:
        context.close()
