"""Runs the program of a measure in a fresh process, and reads the figure that it prints."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

HOUSE = Path(__file__).parents[1]

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 60


def environment() -> dict[str, str]:
    """Return the environment of all programs: ours, with the house on the path."""
    paths = (str(HOUSE), os.environ.get("PYTHONPATH"))
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def figure_of(module: str, function: str) -> float:
    """Return what `function` prints last; the classes of `module` are imported there."""
    return _figure("-c", f"from {module} import {function}; {function}()")


def figure_of_script(file: str) -> float:
    """Return what the script `file` prints last; its classes are those of a script."""
    return _figure(file)


def _figure(*arguments: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
    return float(done.stdout.split()[-1])
