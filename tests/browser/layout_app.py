"""Shows nested tabs, and one that appears when `serve` is there. Its pages try to get the token."""

from __future__ import annotations

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.frontends import StaticWebFrontend

PAGE = """<!doctype html><html lang="en"><title>A page</title><h1>The page of %s</h1>
<label>Note <input id="note"></label>
<p id="found"></p>
<script>
const tries = {
  "storage of the page": () => top.sessionStorage.length,
  "storage around": () => parent.sessionStorage.length,
  "document of the page": () => top.document.title,
  "document around": () => parent.document.title,
  "address of the page": () => top.location.href,
  "opener": () => String(opener),
  "own storage": () => JSON.stringify({ ...sessionStorage, ...localStorage }),
  "own cookies": () => document.cookie,
  "own origin": () => origin,
};
const found = Object.entries(tries).map(([name, look]) => {
  try { return `${name}: ${look()}`; } catch (error) { return `${name}: ${error.name}`; }
});
document.querySelector("#found").textContent = found.join("; ");
</script></html>"""


class Site(LightningFlow):
    def __init__(self, name: str) -> None:
        super().__init__()
        folder = Path(name)
        folder.mkdir(exist_ok=True)
        (folder / "index.html").write_text(PAGE % name)
        self.folder = str(folder)

    def configure_layout(self) -> Any:
        return StaticWebFrontend(self.folder)


class Group(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = Site("first"), Site("second")

    def configure_layout(self) -> Any:
        return [{"name": "First", "content": self.first}, {"name": "Second", "content": self.second}]


class Late(LightningWork):
    def __init__(self) -> None:
        super().__init__(parallel=True)

    def run(self) -> None:
        while not Path("serve").exists():
            threading.Event().wait(0.02)

        class Answer(SimpleHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/html")
                self.end_headers()
                self.wfile.write(b"<h1>The work serves</h1>")

        # With threads: a browser may open a connection on which it asks nothing.
        ThreadingHTTPServer((self.host, self.port), Answer).serve_forever()


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.home, self.group, self.late = Site("home"), Group(), Late()

    def run(self) -> None:
        self.late.run()

    def configure_layout(self) -> Any:
        tabs = [
            {"name": "Home", "content": self.home},
            {"name": "Group", "content": self.group},
            {"name": "Waiting", "content": "/later"},
        ]
        if self.late.url:
            tabs.append({"name": "Late", "content": self.late})
        return tabs


if __name__ == "__main__":
    LightningApp(Root()).run()
