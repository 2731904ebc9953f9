"""Creates folders of ended runs without running an app."""

from __future__ import annotations

import os
from pathlib import Path

from lightning_lite.runs.journal import Journal

from tests.support.run_folders import make_run_folder

IDENTITY = "app.py:Root"

#: Start of the first run in seconds since 1970; each later run starts a day after the one before.
FIRST = 1_700_000_000.0
DAY = 86_400.0


def make_run(
    root: Path, number: int, state: str = "stopped", identity: str = IDENTITY, journal: bool = True
) -> Path:
    """Create the folder of run number `number`, which started and ended on the same day."""
    name = f"{20_000_000 + number:08}-000000000-{number:06x}"
    logs = {"root.train": "epoch 1\n"}
    path = make_run_folder(root / "runs", name, logs, state=state, identity=identity, has_journal=journal)
    if journal:
        Journal.create(str(path), identity).close()
    touch(path, FIRST + number * DAY)
    return path


def touch(path: Path, moment: float) -> None:
    """Set the modification times of a folder and of all files in it."""
    for file in (*path.rglob("*"), path):
        os.utime(file, (moment, moment))
