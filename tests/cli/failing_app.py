"""An app whose run fails and can be resumed, after its one call has ended with a big value."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from lightning_lite import LightningApp, LightningFlow, LightningWork

#: Message of the error with which the flow fails.
FAILURE = "so that the run can be resumed"

#: Variables: a file that gets a line for each call; if the other one exists, the flow ends as stopped.
CALLS, STOPS = "CALLS", "STOPS"


class Work(LightningWork):
    def __init__(self) -> None:
        super().__init__()
        self.loss = 0.0

    def run(self) -> bytes:
        with open(os.environ.get(CALLS, os.devnull), "a") as calls:
            calls.write("call\n")
        for self.loss in (3.0, 2.0, 1.0):
            sys.stdout.write(f"loss {self.loss}\n")
        return os.urandom(2_000_000)


class Root(LightningFlow):
    def __init__(self) -> None:
        super().__init__()
        self.work = Work()

    def run(self) -> None:
        self.work.run()
        if STOPS not in os.environ:
            raise RuntimeError(FAILURE)
        self.stop()


def fail(root_dir: Path | None = None, **options: Any) -> None:
    """Run the app in this process until it fails.

    Args:
        root_dir: Root folder; by default that of the test.
        options: Arguments of `run`.
    """
    with pytest.raises(RuntimeError, match=FAILURE):
        LightningApp(Root(), root_dir=root_dir).run("inline", **options)
