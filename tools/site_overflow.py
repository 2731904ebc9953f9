"""Find elements that are wider than the window on the built pages, in a browser, on a desktop and a phone.

Usage: python tools/site_overflow.py [--browser PROGRAM] [FOLDER]

It needs Chromium or Chrome, opens each page of FOLDER (docs/_build/html) in each width, light and dark, and
prints each element that is cut or makes the page scroll sideways. The exit code is 1 if there is one.
"""

from __future__ import annotations

import argparse
import http.server
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import threading
from functools import partial
from pathlib import Path

#: Widths of a window in pixels: a small laptop and a phone.
WIDTHS = (1280, 390)

#: Seconds for all pages; the browser hangs if it takes longer.
TIME_LIMIT = 300.0

_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")

# Without these, a browser asks servers of its maker for news, and a root user can't start it.
_OPTIONS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--window-size=1400,1000",
]

# The page opens all others in a frame: a browser has a minimum width for windows, and none for frames.
_MEASURING_PAGE = """<!doctype html><meta charset="utf-8"><iframe id="frame" height="900"></iframe><script>
const frame = document.getElementById("frame");
const loaded = url => new Promise(done => { frame.onload = done; frame.src = url; });
const scrolls = element => ["auto", "scroll", "hidden", "clip"].includes(getComputedStyle(element).overflowX);

function tooWide(page, width) {
  const found = page.documentElement.scrollWidth > width ? ["the page"] : [];
  for (const element of page.querySelectorAll("body *")) {
    const box = element.getBoundingClientRect();
    if (!box.width || !box.height || box.right <= width + 1 || box.left >= width) continue;
    let parent = element.parentElement;
    while (parent && !scrolls(parent)) parent = parent.parentElement;
    if (!parent) found.push(element.tagName.toLowerCase() + " " + element.textContent.trim().slice(0, 60));
  }
  return found;
}

async function measure({pages, widths}) {
  const results = [];
  for (const theme of ["light", "dark"]) {
    localStorage.setItem("theme", theme);
    for (const width of widths) {
      frame.style.width = width + "px";
      for (const page of pages) {
        await loaded(page);
        await frame.contentDocument.fonts.ready;
        results.push({page, width, theme, found: tooWide(frame.contentDocument, width)});
      }
    }
  }
  await fetch("/results", {method: "POST", body: JSON.stringify(results)});
}

fetch("/task").then(answer => answer.json()).then(measure);
</script><style>body { margin: 0 } iframe { border: 0 }</style>"""


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the built pages, the measuring page and its task, and takes the results."""

    def __init__(self, *arguments: object, task: bytes, results: queue.Queue[bytes], directory: str) -> None:
        self.task = task
        self.results = results
        super().__init__(*arguments, directory=directory)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        own = {"/measure": ("text/html", _MEASURING_PAGE.encode()), "/task": ("application/json", self.task)}
        if self.path not in own:
            super().do_GET()
            return
        kind, body = own[self.path]
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        self.results.put(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(204)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        """Print nothing for each request."""


def measure(folder: Path, browser: str) -> list[dict[str, object]]:
    """Return one result for each page, width and theme, with the elements that are too wide there.

    Args:
        folder: Folder of the built pages.
        browser: The program of the browser.

    Raises:
        TimeoutError: The browser gave no results in time.
    """
    pages = sorted(
        str(page.relative_to(folder)) for page in folder.rglob("*.html") if "_static" not in page.parts
    )
    task = json.dumps({"pages": [f"/{page}" for page in pages], "widths": WIDTHS}).encode()
    results: queue.Queue[bytes] = queue.Queue()
    handler = partial(_Handler, task=task, results=results, directory=str(folder))
    with (
        http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server,
        tempfile.TemporaryDirectory() as profile,
    ):
        threading.Thread(target=server.serve_forever, daemon=True).start()
        process = subprocess.Popen(
            [
                browser,
                *_OPTIONS,
                f"--user-data-dir={profile}",
                f"http://127.0.0.1:{server.server_port}/measure",
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            found: list[dict[str, object]] = json.loads(results.get(timeout=TIME_LIMIT))
        except queue.Empty:
            raise TimeoutError(f"{browser} gave no results within {TIME_LIMIT:g} s") from None
        finally:
            process.terminate()
            process.wait()
            server.shutdown()
    return found


def main() -> int:
    """Print the elements that are too wide; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", nargs="?", type=Path, default=Path("docs/_build/html"))
    parser.add_argument("--browser", default=next(filter(shutil.which, _BROWSERS), None))
    options = parser.parse_args()
    if options.browser is None:
        parser.error(f"no browser found ({', '.join(_BROWSERS)}); name one: --browser PROGRAM")
    if not (options.folder / "index.html").is_file():
        parser.error(f"{options.folder} has no index.html; build the pages first: make docs")

    results = measure(options.folder, options.browser)
    bad = [result for result in results if result["found"]]
    for result in bad:
        print(f"{result['page']} at {result['width']} pixels, {result['theme']}: {result['found']}")
    print(f"{len(bad)} of {len(results)} views are too wide")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
