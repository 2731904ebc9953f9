"""A real browser for all modules, a page server, and pages that report what they should not have done."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, expect, sync_playwright

from tests.browser.tabs import PATIENCE, KeptTab, Tab, open_tab
from tests.support.page_servers import Server, serving
from tests.support.processes import run_script

#: Names the program of the browser, for machines on which it has another name.
VARIABLE = "LIGHTNING_LITE_TEST_BROWSER"

# The last one has the same engine without windows. A whole browser goes first, because users have that.
_PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chromium-headless-shell")

_EXAMPLE = Path(__file__).parents[2] / "examples" / "ui" / "app.py"

# With the first two, each window renders two pages for its address field, which takes longer than our page.
# With the third, each context starts a process that no page of the tests uses.
# Playwright switches the others off: they are repeated, because the browser follows only the last option.
_SWITCHED_OFF = [
    "WebUIOmniboxPopup",
    "WebUIOmniboxAimPopup",
    "SpareRendererForSitePerProcess",
    "AimEnabled",
    "AvoidCorsURLLoaderRestartOnRedirect",
    "AvoidUnnecessaryBeforeUnloadCheckSync",
    "DestroyProfileOnBrowserClose",
    "HttpsFirstBalancedModeAutoEnable",
    "HttpsUpgrades",
    "LensOverlay",
    "MediaRouter",
    "NetworkTimeServiceQuerying",
    "OptimizationHints",
    "PaintHolding",
    "PreconnectToSearch",
    "ThirdPartyStoragePartitioning",
]

# The browser must ask no other machine: it can resolve only these names, and its own services are off.
_OPTIONS = [
    f"--disable-features={','.join(_SWITCHED_OFF)}",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP rebound.test 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
]

expect.set_options(timeout=PATIENCE * 1000)


def find_browser() -> str:
    """Return the program of the browser, or "" if there is none."""
    names = [os.environ[VARIABLE]] if os.environ.get(VARIABLE) else _PROGRAMS
    return next(filter(None, map(shutil.which, names)), "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of this folder first, so that each process of the tests starts the browser once.

    They also take longest, so no process ends with them while the others have nothing left to do.
    """
    folder = f"{Path(__file__).parent}{os.sep}"
    items.sort(key=lambda item: not str(item.path).startswith(folder))


# For this folder, which is a package for that reason, and not for the session: while the browser is open,
# playwright has an event loop in this thread, so that no other test could call `asyncio.run`.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    program = find_browser()
    if not program:
        reason = f"no browser: apt-get install chromium, or name its program in {VARIABLE}"
        # Where it has to be, a skip would hide that it is gone.
        if os.environ.get(VARIABLE) or os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=program, args=_OPTIONS, chromium_sandbox=os.geteuid() != 0
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shown_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A root with two ended runs of the example, which has something for each view."""
    folder = tmp_path_factory.mktemp("shown")
    root = folder / "root"
    for name, tag in (("fine-tuning", "first"), ("second-try", "second")):
        place = folder / tag
        place.mkdir()
        # Its nine works start from a fork server with less CPU time than each with an interpreter of its own.
        options = ("--root", root, "--name", name, "--tag", tag, "--start-method", "forkserver")
        run_script("-m", "lightning_lite", "run", *options, _EXAMPLE, "--app_args", "0.01", cwd=place)
    return root


@pytest.fixture(scope="package")
def shown(shown_root: Path) -> Iterator[Server]:
    """A server of the runs of the example."""
    with serving("--root", shown_root) as server:
        yield server


@pytest.fixture(scope="package")
def kept_tab(browser: Browser) -> KeptTab:
    return KeptTab(browser)


@pytest.fixture
def visit(browser: Browser, kept_tab: KeptTab) -> Iterator[Callable[..., Tab]]:
    """Open a page; at the end of the test it must have had no error, no dialog, and no request elsewhere.

    The first page of a test that wants no options of `open_tab` gets the tab that all tests share.
    """
    tabs: list[Tab] = []
    own: list[Tab] = []

    def visit(server: Server, view: str = "", **options: Any) -> Tab:
        if tabs or options:
            own.append(open_tab(browser, server, view, **options))
            tabs.append(own[-1])
        else:
            tabs.append(kept_tab.visit(server, view))
        return tabs[-1]

    yield visit

    try:
        for tab in tabs:
            tab.check()
    finally:
        if len(tabs) > len(own):
            kept_tab.leave()
        for tab in own:
            tab.page.context.close()
