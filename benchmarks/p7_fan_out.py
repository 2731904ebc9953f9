"""P7: 200 small calls over four parallel works; each line of the flow asks for its next call in turn."""

from __future__ import annotations

import multiprocessing
import time
from functools import partial
from multiprocessing.connection import Connection, wait

from benchmarks.measure import Measure
from benchmarks.p4_call import Echo, echo
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow

WORKS = 4
CALLS = 200


class Root(LightningFlow):
    """Keeps four works busy; a first call of each, which waits for its process, does not count."""

    def __init__(self) -> None:
        super().__init__()
        self.echoes = [Echo(parallel=True) for _ in range(WORKS)]
        self._next = [-1] * WORKS
        self._answers: set[int] = set()
        self._began = 0.0

    def run(self) -> None:
        """Collect the available answers, and ask each free work for its next call."""
        if not self._began:
            if None in [work.run(-1) for work in self.echoes]:
                return
            self._began = time.monotonic()
            self._next = list(range(WORKS))
        for line, work in enumerate(self.echoes):
            while self._next[line] < CALLS:
                answer = work.run(self._next[line])
                if answer is None:
                    break
                self._answers.add(answer)
                self._next[line] += WORKS
        if len(self._answers) == CALLS:
            print((time.monotonic() - self._began) * 1e3)
            self.stop()


def ours() -> None:
    """Print the milliseconds of all calls."""
    LightningApp(Root()).run()


def pipes() -> None:
    """Print the milliseconds of the same number of round trips through four pipes of the standard library."""
    context = multiprocessing.get_context("spawn")
    lines: dict[Connection, int] = {}
    processes = []
    for number in range(WORKS):
        here, there = context.Pipe()
        processes.append(context.Process(target=echo, args=(there,)))
        processes[-1].start()
        there.close()
        here.send((-1,))
        here.recv()
        lines[here] = number
    began = time.monotonic()
    answers: set[int] = set()
    for here, number in lines.items():
        here.send((number,))
    while len(answers) < CALLS:
        for ready in wait(list(lines)):
            assert isinstance(ready, Connection)
            (number,) = ready.recv()
            answers.add(number)
            if number + WORKS < CALLS:
                ready.send((number + WORKS,))
    print((time.monotonic() - began) * 1e3)
    for here, process in zip(lines, processes, strict=True):
        here.close()
        process.join()


MEASURES = [
    Measure(
        name="P7",
        what=f"{CALLS} small calls over {WORKS} parallel works, each line asks when its last call has ended",
        limit_name="pipes",
        unit="ms",
        goal=2.5,
        ours=partial(figure_of, __name__, "ours"),
        limit=partial(figure_of, __name__, "pipes"),
        rounds=5,
        peer="fan_out",
    )
]
