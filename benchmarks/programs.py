"""Runs the program of a measure in a fresh process, and reads the figure that it prints."""

from __future__ import annotations

import os
import pkgutil
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmarks.peers

HOUSE = Path(__file__).parents[1]

#: Peers have an environment of their own: what they need is nobody else's affair.
PEERS_PYTHON = HOUSE / ".venv-peers" / "bin" / "python"

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 120


def environment() -> dict[str, str]:
    """Return the environment of all programs: ours, with the house on the path.

    Compiled modules are kept, as an installation keeps them; else each program would compile the house again.
    """
    paths = (str(HOUSE), os.environ.get("PYTHONPATH"))
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    env.pop("PYTHONDONTWRITEBYTECODE", None)
    return env


def figure_of(module: str, function: str, *arguments: object) -> float:
    """Return what `function(*arguments)` prints last; the classes of `module` are imported there."""
    call = f"{function}({', '.join(map(repr, arguments))})"
    return _figure("-c", f"from {module} import {function}; {call}")


def figure_of_script(file: str, *arguments: object) -> float:
    """Return what the script `file` prints last; its classes are those of a script."""
    return _figure(file, *map(str, arguments))


def installed_peers() -> list[str]:
    """Return the modules of `benchmarks.peers` whose packages are installed in `.venv-peers`."""
    if not PEERS_PYTHON.exists():
        return []
    peers = [module.name for module in pkgutil.iter_modules(benchmarks.peers.__path__)]
    look = "import importlib, sys; importlib.import_module('benchmarks.peers.' + sys.argv[1])"
    command = [str(PEERS_PYTHON), "-c", look]
    return [
        peer
        for peer in peers
        if not subprocess.run(
            [*command, peer], env=environment(), capture_output=True, check=False
        ).returncode
    ]


def peer_figure(peer: str, function: str) -> float:
    """Return what a function of a peer prints last."""
    program = f"from benchmarks.peers.{peer} import {function}; {function}()"
    return _figure("-c", program, python=str(PEERS_PYTHON))


def _figure(*arguments: str, python: str = sys.executable) -> float:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [python, *arguments],
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            text=True,
            timeout=DEADLINE,
            check=True,
        )
    return float(done.stdout.split()[-1])
