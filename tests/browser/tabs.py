"""Tabs of the browser with the page, and all that a tab did: errors, dialogs and requests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Dialog,
    Error,
    Locator,
    Page,
    Request,
    ViewportSize,
)

from tests.support.page_servers import Server

#: Seconds after which a page hangs; a bound, not a measurement.
PATIENCE = 20.0

#: The size of a window, as playwright chooses it.
_WINDOW: ViewportSize = {"width": 1280, "height": 720}

_TWO_FRAMES = "new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => done(true))))"


class Tab(NamedTuple):
    """A page, with its errors and requests.

    Attributes:
        page: The page of the browser.
        server: Its server.
        errors: Errors of scripts, and actions that the browser refused.
        dialogs: Texts of `alert` and its like.
        requests: Addresses that were asked for.
        unanswered: Requests that have no answer yet.
        frames: Origins of the pages of flows that it may show in frames; a test adds them.
    """

    page: Page
    server: Server
    errors: list[str]
    dialogs: list[str]
    requests: list[str]
    unanswered: set[Request]
    frames: list[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.page, name)

    @property
    def questions(self) -> list[str]:
        """The addresses of the API that were asked for."""
        return [address for address in self.requests if "/api/" in address]

    def go(self, view: str) -> None:
        """Show another view, as a link does: the page is not loaded again."""
        self.page.evaluate("view => { location.hash = view }", f"#{view}")

    def view(self, name: str) -> Locator:
        """Return the element of a view."""
        return self.page.locator(f"[data-view={name}]")

    def click_row_action(self, work: str, label: str) -> None:
        """Choose an action in the menu of a work."""
        row = self.page.locator(f'[data-work="{work}"]')
        row.get_by_role("button", name=f"Actions of {work}").click()
        row.get_by_role("menuitem", name=label).click()

    def wait_for(self, predicate: Callable[[], object]) -> None:
        """Wait until something is true. The browser goes on in the meantime, so its events arrive."""
        deadline = PATIENCE
        while not predicate():
            self.page.wait_for_timeout(20)
            deadline -= 0.02
            assert deadline > 0, f"did not happen: {predicate}"

    def wait_for_answers(self) -> None:
        """Wait until all questions are answered, and no answer has led to another question.

        A view that follows a run asks again and again, so the network is never idle for the half second that
        `networkidle` needs. Two frames are enough for a view to ask what an answer makes it ask.
        """
        self.wait_for(lambda: self.page.evaluate(_TWO_FRAMES) and not self.unanswered)

    def check(self) -> None:
        """Fail if the page did a forbidden thing."""
        assert self.page.evaluate("window.pwned") is None
        assert not self.dialogs
        assert not self.errors
        own = (f"http://{self.server.host}/", "data:", "blob:", *self.frames)
        foreign = [address for address in self.requests if not address.startswith(own)]
        assert not foreign


def open_tab(
    browser: Browser | BrowserContext,
    server: Server,
    view: str = "",
    *,
    token: bool = True,
    clock: bool = False,
    **options: Any,
) -> Tab:
    """Open the page in a new tab.

    Args:
        browser: A browser gives the tab storage of its own; a context has several tabs.
        server: The server.
        view: Address of the view, without `#`.
        token: Whether the address has the token.
        clock: Whether the test can put the time of the page forward, with `page.clock`.
        options: Options of the context: `viewport`, `color_scheme`, `reduced_motion`.
    """
    context = browser.new_context(**options) if isinstance(browser, Browser) else browser
    tab = _new_tab(context, server)
    if clock:
        tab.page.clock.install()
    _load(tab, view, token=token)
    return tab


class KeptTab:
    """A tab that many tests visit one after the other: the browser starts a process for each new one.

    Each visit loads the page with a token and empty storage. Only the pages of one server share a process, so
    the visit to another server gets a new tab.

    Args:
        browser: The browser.
    """

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._tab: Tab | None = None

    def visit(self, server: Server, view: str = "") -> Tab:
        """Load the page, after `leave` has ended the last visit."""
        if self._tab is None or self._tab.server.host != server.host:
            self.close()
            self._tab = _new_tab(self._browser.new_context(), server)
        # A server that a test has started at the port of an earlier one has another token.
        self._tab = tab = self._tab._replace(server=server)
        for noted in (tab.errors, tab.dialogs, tab.requests, tab.unanswered, tab.frames):
            noted.clear()
        _load(tab, view)
        return tab

    def leave(self) -> None:
        """End a visit: stop the scripts of the page, and undo what a test can change in a tab."""
        assert self._tab is not None
        page = self._tab.page
        for other in page.context.pages:
            if other != page:
                other.close()
        try:
            page.unroute_all()
            # It has no scripts, and the same origin, whose storage only its own pages can empty.
            page.goto(f"http://{self._tab.server.host}/static/frame.css")
            page.evaluate("sessionStorage.clear(), localStorage.clear()")
            page.set_viewport_size(_WINDOW)
            page.emulate_media(color_scheme="light", reduced_motion="no-preference")
        except Error:  # the server has ended
            self.close()

    def close(self) -> None:
        """Close the tab; the next visit opens a new one."""
        if self._tab is not None:
            self._tab.page.context.close()
            self._tab = None


def _new_tab(context: BrowserContext, server: Server) -> Tab:
    """Open an empty tab that notes what happens in it."""
    page = context.new_page()
    tab = Tab(page, server, [], [], [], set(), [])
    page.on("console", lambda message: _note(tab, message))
    page.on("pageerror", lambda error: tab.errors.append(str(error)))
    page.on("dialog", lambda dialog: _close(tab, dialog))
    page.on("request", lambda request: _begin(tab, request))
    page.on("requestfinished", lambda request: tab.unanswered.discard(request))
    page.on("requestfailed", lambda request: tab.unanswered.discard(request))
    return tab


def _load(tab: Tab, view: str, *, token: bool = True) -> None:
    """Load the page with a view in a tab."""
    address = tab.server.address.partition("&")[0] if token else f"http://{tab.server.host}/"
    if view:
        address += f"&to={view}" if token else f"#{view}"
    tab.page.goto(address)


def _begin(tab: Tab, request: Request) -> None:
    tab.requests.append(request.url)
    tab.unanswered.add(request)


def _note(tab: Tab, message: ConsoleMessage) -> None:
    # An answer with an error is not an error of the page: it has to show it.
    if message.type == "error" and not message.text.startswith("Failed to load resource"):
        tab.errors.append(message.text)


def _close(tab: Tab, dialog: Dialog) -> None:
    tab.dialogs.append(dialog.message)
    dialog.dismiss()
