"""W3: the memory of the server of the page: with a small root, and after a look at the biggest runs."""

from __future__ import annotations

import os
from functools import partial

from benchmarks.g3_journal import goal
from benchmarks.made_runs import BIG, make_log, make_root, make_run
from benchmarks.measure import Measure
from benchmarks.page import Client, look_at, serving
from benchmarks.programs import figure_of
from benchmarks.w2_paint import LINES, RUNS


def memory(runs: int, is_big: bool) -> None:
    """Print the MiB of a server after a look at the list of runs and at the newest run."""
    root = os.path.abspath("root")
    make_root(root, runs)
    run = make_run(root, BIG) if is_big else make_run(root)
    if is_big:
        make_log(run, "root.works.0", LINES)
    with serving(root) as server:
        client = Client(server.address)
        client.get("/api/runs")
        look_at(client, os.path.basename(run))
        print(server.memory())


def _measure(name: str, what: str, limit: float, *arguments: object) -> Measure:
    return Measure(
        name=name,
        what=what,
        limit_name="the goal",
        unit="MiB",
        goal=1.0,
        ours=partial(figure_of, __name__, "memory", *arguments),
        limit=partial(goal, limit),
        rounds=1,
    )


MEASURES = [
    _measure("W3a", "memory of the server of the page, a root of 10 small runs", 64.0, 10, False),
    _measure(
        "W3b",
        "the same, 1,000 runs, a run of 300 works and 100,000 calls, a million lines",
        400.0,
        RUNS,
        True,
    ),
]
