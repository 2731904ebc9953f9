"""P10: from the kill of a flow with 8 busy works until none of them is left."""

from __future__ import annotations

import multiprocessing
import os
import select
import subprocess
import sys
import tempfile
import time
from ctypes import CDLL
from functools import partial
from multiprocessing.connection import Connection

from benchmarks.busy import NUMBER, Busy
from benchmarks.measure import Measure
from benchmarks.programs import environment
from lightning_lite import LightningApp, LightningFlow

PR_SET_PDEATHSIG, SIGKILL = 1, 9


class Root(LightningFlow):
    """Says which processes there are when all works are busy, and goes on until it is killed."""

    def __init__(self) -> None:
        super().__init__()
        self.busy = [Busy() for _ in range(NUMBER)]
        self.has_said = False

    def run(self) -> None:
        """Print the process ids of all works in one line."""
        for work in self.busy:
            work.run()
        if not self.has_said and all(work.pid for work in self.busy):
            self.has_said = True
            print(*(work.pid for work in self.busy), flush=True)


def ours(start_method: str) -> None:
    """Run the app until it is killed."""
    LightningApp(Root()).run(start_method=start_method)


def work_for_ever(connection: Connection) -> None:
    """Ask the kernel for the parent-death signal, and be busy."""
    CDLL(None).prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
    connection.send("up")
    while True:
        pass


def bare() -> None:
    """Start as many processes of the standard library and wait to be killed."""
    context = multiprocessing.get_context("spawn")
    pids = []
    for _ in range(NUMBER):
        receiver, sender = context.Pipe(duplex=False)
        process = context.Process(target=work_for_ever, args=(sender,))
        process.start()
        receiver.recv()
        pids.append(process.pid)
    print(*pids, flush=True)
    process.join()


def left_for(call: str) -> float:
    """Return the milliseconds from the kill of the program until all works are gone."""
    function, _, _ = call.partition("(")
    command = [sys.executable, "-c", f"from {__name__} import {function}; {call}"]
    with (
        tempfile.TemporaryDirectory() as folder,
        subprocess.Popen(
            command, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as program,
    ):
        assert program.stdout is not None
        pids = [int(word) for word in program.stdout.readline().split()]
        works = [os.pidfd_open(pid) for pid in pids]
        began = time.monotonic()
        program.kill()
        for work in works:
            select.select([work], [], [])
        ended = time.monotonic()
        for work in works:
            os.close(work)
    if len(pids) != NUMBER:
        raise RuntimeError(f"the program had {len(pids)} works, not {NUMBER}")
    return (ended - began) * 1000


MEASURES = [
    Measure(
        name=name,
        what=f"flow killed (-9) with 8 busy works, none left, {start_method}",
        limit_name="parent-death signal alone",
        unit="ms",
        goal=46,  # 50 ms, of which the limit is 4
        ours=partial(left_for, f"ours({start_method!r})"),
        limit=partial(left_for, "bare()"),
        rounds=5,
        difference=True,
    )
    for name, start_method in (("P10", "spawn"), ("P10f", "forkserver"))
]
