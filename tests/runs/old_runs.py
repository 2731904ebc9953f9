"""Runs that are over, made in a moment."""

from __future__ import annotations

import os
from pathlib import Path

from lightning_lite.runs.journal import Journal

from tests.support.run_folders import make_run_folder

IDENTITY = "app.py:Root"

#: The first run began at this moment, each later one a day after the one before; in seconds since 1970.
FIRST = 1_700_000_000.0
DAY = 86_400.0


def make_run(
    root: Path, number: int, state: str = "stopped", identity: str = IDENTITY, journal: bool = True
) -> Path:
    """Make the folder of the run of that number, which began and ended on the same day."""
    name = f"{20_000_000 + number:08}-000000000-{number:06x}"
    logs = {"root.train": "epoch 1\n"}
    path = make_run_folder(root / "runs", name, logs, state=state, identity=identity)
    if journal:
        Journal.create(str(path), identity).close()
    touch(path, FIRST + number * DAY)
    return path


def touch(path: Path, moment: float) -> None:
    """Let a folder, and all in it, be as old as `moment` says."""
    for file in (*path.rglob("*"), path):
        os.utime(file, (moment, moment))
