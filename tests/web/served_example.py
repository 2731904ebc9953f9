"""Runs the app of the page about the API, and its server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lightning_lite.testing import poll_until

from tests.cli.short_apps import RunningApp, running
from tests.support.page_servers import Server, serving
from tests.support.processes import DEADLINE


@contextmanager
def serving_example(folder: Path) -> Iterator[tuple[Server, RunningApp]]:
    """Run the app in a folder, and serve its root; yield both when its works have printed their lines."""
    with running(folder, source=Path(__file__).with_name("api_example.py").read_text()) as app:
        app.wait_for_output("up")
        with serving("--root", app.root) as server:
            log = Path(app.run.path, "logs", "root.wait.log")
            poll_until(lambda: log.exists() and "waiting" in log.read_text(), DEADLINE)
            yield server, app
        app.process.terminate()
        app.code()
