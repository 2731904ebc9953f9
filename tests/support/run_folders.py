"""Creates folders of runs without running an app."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from lightning_lite.runs.folder import RunFolder, creating_run


def runs_folder() -> Path:
    """Return the folder of the runs in the root of this test."""
    return Path(os.environ["LIGHTNING_LITE_ROOT"]) / "runs"


def new_run(root: str, **options: Any) -> RunFolder:
    """Make the folder of a new run, as an app does, without a journal.

    Args:
        root: Absolute folder that holds everything.
        options: Further arguments of `RunFolder.create`.
    """
    with creating_run(root) as runs:
        return RunFolder.create(root, runs, **options)


def make_run_folder(runs: Path, name: str, /, logs: dict[str, str] | None = None, **details: object) -> Path:
    """Create the folder of a run, and return its path.

    Args:
        runs: Folder of the runs.
        name: Id of the run.
        logs: Text of the log of each work, by the name of the work.
        details: More fields of `run.json`; `id` and `app` always have a value.
    """
    path = runs / name
    (path / "logs").mkdir(parents=True)
    for work, text in (logs or {}).items():
        (path / "logs" / f"{work}.log").write_text(text)
    (path / "run.json").write_text(json.dumps({"id": name, "app": "Root", **details}))
    return path
