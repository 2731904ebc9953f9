"""What the process of a work costs until its `run`, and then in memory.

`python -m benchmarks.child_cost [commit]`; with a commit, in turns with that one: it is checked out into a
temporary folder, and gets this program.
"""

from __future__ import annotations

import json
import multiprocessing
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from benchmarks.child_bare import child
from benchmarks.child_body import Child
from benchmarks.measure import spread
from benchmarks.programs import HOUSE, environment
from lightning_lite import LightningApp, LightningFlow

ROUNDS = 15
WHAT = ("CPU until the body, ms", "modules of ours", "modules", "private memory, MiB")


class Root(LightningFlow):
    """Starts one work and looks at it when it waits for the next call."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Child()

    def run(self) -> None:
        """Print what it costs."""
        self.child.run()
        if self.child.has_succeeded:
            tell(self.child.found)
            self.stop()


def tell(found: list[float]) -> None:
    """Print what a process has said of itself, and the MiB that it has for itself."""
    pid, *figures = found
    print(json.dumps([*figures, psutil.Process(int(pid)).memory_full_info().uss / (1 << 20)]))


def ours() -> None:
    """Print the figures of a work."""
    LightningApp(Root()).run()


def bare() -> None:
    """Print the figures of a process of the standard library."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=child, args=(there,))
    process.start()
    tell(here.recv())
    here.send("end")
    process.join()


def figures_of(function: str, house: Path) -> list[float]:
    """Return what a function of this module prints with the framework that is in `house`."""
    program = f"from {__spec__.name} import {function}; {function}()"
    with tempfile.TemporaryDirectory() as folder:
        env = {**environment(), "PYTHONPATH": str(house)}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, env=env, stdout=subprocess.PIPE, check=True
        )
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a folder with the house as it was, and with these programs."""
    with tempfile.TemporaryDirectory() as folder:
        house = Path(folder) / "house"
        git = ["git", "-C", str(HOUSE), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(house), commit], check=True)
        try:
            shutil.copytree(HOUSE / "benchmarks", house / "benchmarks", dirs_exist_ok=True)
            yield house
        finally:
            subprocess.run([*git, "remove", "--force", str(house)], check=True)


def compare(houses: dict[str, Path]) -> None:
    """Print a table of what a child costs in each house, and without any."""
    sides = {"bare": ("bare", HOUSE), **{name: ("ours", house) for name, house in houses.items()}}
    found: dict[str, list[list[float]]] = {name: [] for name in sides}
    for _ in range(ROUNDS):
        for name, side in sides.items():
            found[name].append(figures_of(*side))
    print(f"| | {' | '.join(sides)} |")
    print(f"| --- |{' --- |' * len(sides)}")
    for at, what in enumerate(WHAT):
        cells = [spread([figures[at] for figures in found[name]]) for name in sides]
        print(f"| {what} | {' | '.join(cells)} |")


def main(commits: list[str]) -> None:
    """Compare the present state with the commit that is named, if one is."""
    if commits:
        with checked_out(commits[0]) as house:
            compare({f"before ({commits[0]})": house, "now": HOUSE})
    else:
        compare({"now": HOUSE})


if __name__ == "__main__":
    main(sys.argv[1:])
