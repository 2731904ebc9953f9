"""Take the pictures of the page that the README and docs/page.md show.

    python tools/page_pictures.py            # all of them
    python tools/page_pictures.py timeline   # some

It runs `examples/ui/app.py` three times in a folder of its own: twice to the end, at full speed, and once
with the page; and `examples/layout/app.py` for the picture of the pages of an app. It needs the extras `test`
and `ui`, and Chromium. It takes about half a minute.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote, urlencode

from playwright.sync_api import BrowserContext, ViewportSize, sync_playwright

ROOT = Path(__file__).parents[1]
PICTURES = ROOT / "docs" / "images" / "page"
APP = ROOT / "examples" / "ui" / "app.py"
LAYOUT_APP = ROOT / "examples" / "layout" / "app.py"
COMMAND = [sys.executable, "-m", "lightning_lite"]
LONGEST = 8_000.0  # milliseconds

TRAINERS = [f"root.trainers.{number}" for number in range(3)]

#: The name of each picture, the address of its view, and the elements that are there once it is complete.
VIEWS = {
    "runs": ("/runs", "[data-run] >> nth=2"),
    "overview": ("/runs/{run}", "[data-view=overview] [data-work] >> nth=1"),
    "timeline": ("/runs/{run}/timeline", "[data-view=timeline] .gantt-row >> nth=7"),
    "graph": ("/runs/{run}/graph", "[data-view=graph] svg .node >> nth=10"),
    # Without the log of the flow, which has the address of the page and paths of this machine.
    "logs": ("/runs/{run}/logs?" + urlencode({"work": TRAINERS}, doseq=True), "[data-log] li >> nth=8"),
    "state": ("/runs/{run}/state", "[data-attribute='root.load.points']"),
    "call": ("/runs/{run}/call?work=root.trainers.2&number=1", "[data-preview=svg]"),
    "numbers": (
        "/runs/{run}/numbers?together=1&log=1&"
        + urlencode({"a": [f"{name}.loss" for name in TRAINERS]}, doseq=True),
        "[data-view=numbers] canvas",
    ),
    "drives": ("/drives/results?show=curve-0.5.png&of=root.draw", "[data-preview=image] img"),
}

#: The same for the views of the other app.
LAYOUT_VIEWS = {"app": ("/runs/{run}/app?tab=Reports&tab=Fast", "iframe[title=Fast]")}

#: Widths other than 1120: a wider overview has charts in the rows of works.
WIDTHS = {"overview": 1216}

#: Heights other than 640: the overview is cut above the command of the run, which has paths of this machine.
HEIGHTS = {"overview": 545, "logs": 460, "numbers": 560, "drives": 460, "app": 560}


def main() -> None:
    """Run the app, and take the pictures that the command line names, or all."""
    known_views = VIEWS | LAYOUT_VIEWS
    names = sys.argv[1:] or list(known_views)
    if unknown := set(names) - set(known_views):
        known = ", ".join(known_views)
        sys.exit(f"page_pictures: there is no picture {', '.join(sorted(unknown))}; there are {known}")
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("page_pictures: no Chromium is installed: apt-get install chromium")
    PICTURES.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, chromium_sandbox=os.geteuid() != 0)
        if shown := [name for name in names if name in VIEWS]:
            for _ in range(2):
                subprocess.run([sys.executable, APP, "0.01"], cwd=folder, check=True, capture_output=True)
            with running(folder, "run", "--ui", APP) as app:
                take(chromium.new_context, app, shown, "all is done")
        if shown := [name for name in names if name in LAYOUT_VIEWS]:
            with running(folder, "run", LAYOUT_APP, "--app_args", "stay") as app:
                take(chromium.new_context, app, shown, "#token=")


@contextmanager
def running(folder: str, *words: object) -> Iterator[subprocess.Popen[str]]:
    """Run a verb of the command line in a folder until the block ends."""
    app = subprocess.Popen(
        [*COMMAND, *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield app
    finally:
        app.send_signal(signal.SIGINT)
        app.communicate(timeout=30)


def take(
    new_context: Callable[..., BrowserContext],
    app: subprocess.Popen[str],
    names: list[str],
    complete_line: str,
) -> None:
    """Take the pictures of a running app after it has printed a line with a text."""
    assert app.stdout is not None
    address = run = ""
    for line in app.stdout:
        if found := re.search(r"(http://\S+#token=[^\s&]+)\S*?/runs/([\w-]+)", line):
            address, run = found.groups()
        if complete_line in line:
            break
    if not address:
        sys.exit("page_pictures: the app printed no address of its page")
    for name in names:
        view, complete = (VIEWS | LAYOUT_VIEWS)[name]
        size: ViewportSize = {"width": WIDTHS.get(name, 1120), "height": HEIGHTS.get(name, 640)}
        context = new_context(viewport=size, color_scheme="light", reduced_motion="reduce")
        page = context.new_page()
        page.goto(f"{address}&to={quote(view.format(run=run))}")
        page.locator(complete).first.wait_for(timeout=LONGEST)
        # The charts of CPU and memory need some seconds of samples; others are drawn at once.
        page.wait_for_timeout(5000 if name == "overview" else 700)
        # The root is a folder of this machine.
        page.locator("header .root").evaluate("root => root.textContent = 'project/.lightning_lite'")
        page.screenshot(path=PICTURES / f"{name}.png")
        context.close()


if __name__ == "__main__":
    main()
