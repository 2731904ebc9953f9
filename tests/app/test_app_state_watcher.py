"""`AppStateWatcher` in a script that starts several apps."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

import param
import pytest

from lightning_lite import LightningApp, LightningFlow
from lightning_lite.frontends import AppStateWatcher
from lightning_lite.storage import Drive
from lightning_lite.testing import poll_until

from tests.support.processes import DEADLINE

pytestmark = pytest.mark.dependencies


class Text(LightningFlow):
    def __init__(self, text: str):
        super().__init__()
        self.text = text

    def run(self):
        pass


def test_a_watcher_ends_with_its_run_and_the_next_one_is_of_the_next_run(own_place: Path, capfd):
    watchers, seen = [], []
    for first in ("a", "b"):
        with LightningApp(Text(first)).start(on_idle="wait") as running:
            poll_until(lambda running=running: running.run_id, DEADLINE)
            watcher = AppStateWatcher()
            assert AppStateWatcher() is watcher
            assert watcher not in watchers
            assert watcher.state.text == first
            watchers.append(watcher)

            @param.depends(watcher.param.state, watch=True)
            def show(state):
                seen.append(state.text)
                sys.exit("the end of a function")

            for text in (f"{first}1", f"{first}2"):
                watcher.state.text = text
                poll_until(lambda text=text: text in seen, DEADLINE)
            running.stop()
        poll_until(
            lambda: "lightning-lite-state-watcher" not in [each.name for each in threading.enumerate()],
            DEADLINE,
        )

    assert seen == ["a1", "a2", "b1", "b2"]
    assert capfd.readouterr().err.count("SystemExit: the end of a function") == 4


class Holder(LightningFlow):
    def __init__(self, text: str):
        super().__init__()
        self.drive = Drive("lit://shared")  # first, so that it is compared before the text that differs
        self.text = text

    def run(self):
        pass


def test_a_watcher_of_a_drive_survives_an_invalid_file_of_settings(own_place: Path):
    seen = []
    with LightningApp(Holder("a")).start(on_idle="wait") as running:
        poll_until(lambda: running.run_id, DEADLINE)
        watcher = AppStateWatcher()
        watcher.param.watch(lambda event: seen.append(event.new.text), "state")
        Path("pyproject.toml").write_text("[tool.lightning_lite\n")

        watcher.state.text = "b"

        poll_until(lambda: "b" in seen, DEADLINE)
        Path("pyproject.toml").unlink()
        running.stop()
    poll_until(lambda: not watcher._thread.is_alive(), DEADLINE)
