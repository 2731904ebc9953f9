"""The cost of the process of a work: CPU and modules until its `run`, and memory after it.

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
from benchmarks.programs import PROJECT, environment
from lightning_lite import LightningApp, LightningFlow

ROUNDS = 15
WHAT = ("CPU until the body, ms", "modules of ours", "modules", "private memory, MiB")


class Root(LightningFlow):
    """Starts one work, and measures it when it waits for the next call."""

    def __init__(self) -> None:
        super().__init__()
        self.child = Child()

    def run(self) -> None:
        """Print the cost of the process."""
        self.child.run()
        if self.child.has_succeeded:
            print_cost(self.child.found)
            self.stop()


def print_cost(found: list[float]) -> None:
    """Print the report of a process, and its private memory in MiB."""
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
    print_cost(here.recv())
    here.send("end")
    process.join()


def figures_of(function: str, checkout: Path) -> list[float]:
    """Return the output of a function of this module with the package in `checkout`."""
    program = f"from {__spec__.name} import {function}; {function}()"
    with tempfile.TemporaryDirectory() as folder:
        env = {**environment(), "PYTHONPATH": str(checkout)}
        done = subprocess.run(
            [sys.executable, "-c", program], cwd=folder, env=env, stdout=subprocess.PIPE, check=True
        )
    found: list[float] = json.loads(done.stdout.splitlines()[-1])
    return found


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """Yield a folder with the package of a commit, and with these programs."""
    with tempfile.TemporaryDirectory() as folder:
        checkout = Path(folder) / "checkout"
        git = ["git", "-C", str(PROJECT), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(checkout), commit], check=True)
        try:
            shutil.copytree(PROJECT / "benchmarks", checkout / "benchmarks", dirs_exist_ok=True)
            yield checkout
        finally:
            subprocess.run([*git, "remove", "--force", str(checkout)], check=True)


def compare(checkouts: dict[str, Path]) -> None:
    """Print a table of the cost of a process with each version of the package, and without it."""
    sides = {"bare": ("bare", PROJECT), **{name: ("ours", checkout) for name, checkout in checkouts.items()}}
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
    """Compare the working tree with the named commit, if there is one."""
    if commits:
        with checked_out(commits[0]) as checkout:
            compare({f"before ({commits[0]})": checkout, "now": PROJECT})
    else:
        compare({"now": PROJECT})


if __name__ == "__main__":
    main(sys.argv[1:])
