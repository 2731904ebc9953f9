"""Runs the program of a measure in a fresh process, and reads the figure that it prints."""

from __future__ import annotations

import os
import pkgutil
import select
import subprocess
import sys
import tempfile
from pathlib import Path

import benchmarks.peers

PROJECT = Path(__file__).parents[1]

#: Peers have an environment of their own, because their dependencies conflict with others.
PEERS_PYTHON = PROJECT / ".venv-peers" / "bin" / "python"

#: Seconds. A bound on hanging, not on speed.
DEADLINE = 600


class NoFigure(RuntimeError):
    """A program printed no figure; the error shows what it printed."""


def environment() -> dict[str, str]:
    """Return the environment of all programs: ours, with the project on the path.

    Compiled modules are kept, as in an installation; otherwise each program would compile the package again.
    """
    paths = (str(PROJECT), os.environ.get("PYTHONPATH"))
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


def installed_peers() -> dict[str, str]:
    """Return the modules of `benchmarks.peers` whose packages are in `.venv-peers`, and their versions."""
    if not PEERS_PYTHON.exists():
        return {}
    found = {}
    for module in pkgutil.iter_modules(benchmarks.peers.__path__):
        look = f"from benchmarks.peers.{module.name} import VERSION; print(VERSION)"
        command = [str(PEERS_PYTHON), "-c", look]
        done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found[module.name] = done.stdout.strip()
    return found


def peer_figure(peer: str, function: str) -> float:
    """Return what a function of a peer prints last."""
    program = f"from benchmarks.peers.{peer} import {function}; {function}()"
    return _figure("-c", program, python=str(PEERS_PYTHON))


class AskedProgram:
    """A program that keeps running: it answers each line of its input with one figure.

    Args:
        module: Module of the function.
        function: Name of the function; its first line of output means that it is ready.
        arguments: Arguments of the function.
        deadline: Seconds until it is ready; a bound on hanging, not on speed.
    """

    def __init__(self, module: str, function: str, *arguments: object, deadline: float = DEADLINE) -> None:
        self._folder = tempfile.TemporaryDirectory()
        call = f"{function}({', '.join(map(repr, arguments))})"
        self._process = subprocess.Popen(
            [sys.executable, "-c", f"from {module} import {function}; {call}"],
            cwd=self._folder.name,
            env=environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
        )
        self._read_line(deadline)

    def figure(self) -> float:
        """Return the next figure."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        return float(self._read_line(DEADLINE))

    def end(self) -> None:
        """Close the input of the program, and wait until it has ended."""
        self._process.communicate(timeout=DEADLINE)
        self._folder.cleanup()

    def _read_line(self, deadline: float) -> bytes:
        output = self._process.stdout
        assert output is not None
        if not select.select([output], [], [], deadline)[0]:
            self._process.kill()
            raise NoFigure(f"{self._process.args!r} had none after {deadline:g} s")
        line = output.readline()
        if not line:
            raise NoFigure(f"{self._process.args!r} ended with {self._process.wait()}")
        return line


def _figure(*arguments: str, python: str = sys.executable) -> float:
    with tempfile.TemporaryDirectory() as folder:
        try:
            done = subprocess.run(
                [python, *arguments],
                cwd=folder,
                env=environment(),
                capture_output=True,
                timeout=DEADLINE,
                check=True,
            )
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            raise NoFigure(f"{error}\n{(error.stderr or b'').decode(errors='replace')[-2000:]}") from error
    return float(done.stdout.split()[-1])
