"""Starts apps whose runs the page shows."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lightning_lite.testing import poll_until

from tests.support.page_servers import Server, serving
from tests.support.processes import DEADLINE, starting, wait_until_gone

TICKING = Path(__file__).with_name("ticking_app.py")


class App(NamedTuple):
    """A running app.

    Attributes:
        process: Its process.
        run: Id of its run.
        server: The server that shows it.
    """

    process: subprocess.Popen[str]
    run: str
    server: Server

    def look(self) -> Any:
        """Return the answer of the server about the run."""
        return self.server.get(f"/api/runs/{self.run}").data

    def work(self, name: str) -> Any:
        """Return the answer of the server about a work."""
        return next(work for work in self.look()["works"] if work["name"] == name)

    def processes(self) -> list[int]:
        """Return the process ids of the works."""
        return [work["pid"] for work in self.look()["works"] if work["pid"]]


@contextmanager
def running(server: Server, root: Path, folder: Path, script: Path = TICKING) -> Iterator[App]:
    """Run an app in a folder until the block ends; yield it when its works run."""
    known = {run["id"] for run in server.get("/api/runs").data["runs"]}
    with starting() as start, open(folder / "errors", "w") as errors:
        process = start(
            script,
            cwd=folder,
            env={**os.environ, "LIGHTNING_LITE_ROOT": str(root)},
            stdout=subprocess.DEVNULL,
            stderr=errors,
        )

        def new_runs() -> list[str]:
            assert process.poll() is None, (folder / "errors").read_text()
            return [run["id"] for run in server.get("/api/runs").data["runs"] if run["id"] not in known]

        poll_until(new_runs, DEADLINE)
        app = App(process, new_runs()[0], server)
        poll_until(lambda: app.processes() and all(work["pid"] for work in app.look()["works"]), DEADLINE)
        works = app.processes()
        yield app
        works += [pid for pid in app.processes() if pid not in works]
    wait_until_gone(*works)


@contextmanager
def running_with_server(folder: Path) -> Iterator[App]:
    """Run an app whose lines, state and calls contain their times, and a server of its own root."""
    root = folder / "root"
    with serving(LIGHTNING_LITE_ROOT=str(root)) as server, running(server, root, folder) as app:
        yield app
