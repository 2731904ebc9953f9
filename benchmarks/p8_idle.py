"""P8: the CPU time of an idle app with four works up.

The kernel counts by the nanosecond: a figure of 0 means that no process woke up.
"""

from __future__ import annotations

import multiprocessing
import signal
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

import psutil

from benchmarks.measure import Measure
from benchmarks.p3_bare import idle
from benchmarks.programs import environment
from lightning_lite import LightningApp, LightningFlow, LightningWork

WORKS = 4

#: Seconds for which the app is watched.
WATCHED = 10.0


class Idle(LightningWork):
    """Waits for calls."""

    def run(self) -> None:
        """Do nothing."""


class Root(LightningFlow):
    """Reports when all works are up, and prints nothing after that."""

    def __init__(self) -> None:
        super().__init__()
        self.idlers = [Idle(parallel=True) for _ in range(WORKS)]

    def run(self) -> None:
        """Run each work once; its process then waits."""
        for work in self.idlers:
            work.run()
        if all(work.has_succeeded for work in self.idlers):
            print("up", flush=True)


def ours() -> None:
    """Run the app until it is interrupted."""
    try:
        LightningApp(Root()).run(on_idle="wait")
    except KeyboardInterrupt:
        return


def bare() -> None:
    """Start the same number of processes of the standard library, and wait until interrupted."""
    context = multiprocessing.get_context("spawn")
    connections = []
    for _ in range(WORKS):
        here, there = context.Pipe()
        context.Process(target=idle, args=(there,), daemon=True).start()
        here.recv()
        connections.append(here)
    print("up", flush=True)
    signal.pause()


def cpu_time(process: psutil.Process) -> float:
    """Return the seconds of CPU that `process` and its descendants have used, to the nanosecond."""
    total = 0.0
    for member in (process, *process.children(recursive=True)):
        for statistics in Path(f"/proc/{member.pid}/task").glob("*/schedstat"):
            total += int(statistics.read_text().split()[0]) / 1e9
    return total


def idle_minute(function: str) -> float:
    """Return the CPU seconds that the program of `function` uses in an idle minute."""
    command = [sys.executable, "-c", f"from {__name__} import {function}; {function}()"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command,
            cwd=folder,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as program,
    ):
        assert program.stdout is not None
        assert program.stdout.readline() == "up\n"
        watched = psutil.Process(program.pid)
        wait_idle(program, 1.0)  # until the start has settled
        before = cpu_time(watched)
        wait_idle(program, WATCHED)
        used = cpu_time(watched) - before
        program.send_signal(signal.SIGINT)
    return used * 60 / WATCHED


def wait_idle(program: subprocess.Popen[str], seconds: float) -> None:
    """Wait some seconds, and fail if the program ends before."""
    try:
        code = program.wait(seconds)
    except subprocess.TimeoutExpired:
        return
    raise RuntimeError(f"the program ended with {code}, but should have been idle")


MEASURES = [
    Measure(
        name="P8",
        what="CPU seconds per idle minute, 4 works up",
        limit_name="4 processes of multiprocessing",
        unit="s",
        goal=0.01,
        ours=partial(idle_minute, "ours"),
        limit=partial(idle_minute, "bare"),
        rounds=5,
        difference=True,
    )
]
