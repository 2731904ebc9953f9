"""W2: the first paint of the biggest views, by the browser's own clock: from the navigation to the content.

The server is new for each figure, so it has read nothing before; it has already started, as with a bookmark.
"""

from __future__ import annotations

import os
import sys
from functools import partial

from benchmarks.g3_journal import goal
from benchmarks.made_runs import BIG, make_log, make_root, make_run
from benchmarks.measure import Measure
from benchmarks.page import browsing, first_paint, serving
from benchmarks.programs import AskedProgram

RUNS = 1000
LINES = 1_000_000

#: Seconds in which the runs are made.
MAKING = 600.0

_TIMELINE = """performance.getEntriesByType("resource").some(
    entry => entry.name.includes("/timeline?work=") && entry.responseStatus === 200)"""

#: Address of each view, and what it shows.
VIEWS = {
    "runs": ("/runs", 'document.querySelector("[data-run]")'),
    "works": ("/runs/{run}", 'document.querySelector("[data-view=overview] [data-work]")'),
    "timeline": ("/runs/{run}/timeline", _TIMELINE),
    "log": ("/runs/{run}/logs", 'document.querySelector("[data-log] .lines > *")'),
}


def paint(view: str) -> None:
    """Print the seconds of a first paint for each line of the input."""
    root = os.path.abspath("root")
    run = ""
    if view == "runs":
        make_root(root, RUNS)
    elif view == "log":
        run = make_run(root)
        make_log(run, "root.works.0", LINES)
    else:
        run = make_run(root, BIG)
    address, is_shown = VIEWS[view]
    with browsing() as browser:
        print("ready", flush=True)
        for _ in sys.stdin:
            with serving(root) as server:
                place = address.format(run=os.path.basename(run))
                print(first_paint(browser, server.url(place), is_shown), flush=True)


class Painter:
    """The program of one view, started with its first figure."""

    def __init__(self, view: str) -> None:
        self._view = view
        self._program: AskedProgram | None = None

    def figure(self) -> float:
        """Return the seconds of a first paint."""
        if self._program is None:
            self._program = AskedProgram(__name__, "paint", self._view, deadline=MAKING)
        return self._program.figure()

    def end(self) -> None:
        """End the program."""
        if self._program is not None:
            self._program.end()


def _measure(name: str, what: str, view: str) -> Measure:
    painter = Painter(view)
    return Measure(
        name=name,
        what=f"first paint of {what}",
        limit_name="the goal",
        unit="s",
        goal=1.0,
        ours=painter.figure,
        limit=partial(goal, 0.5),
        rounds=5,
        end=painter.end,
    )


MEASURES = [
    _measure("W2a", "a root of 1,000 runs", "runs"),
    _measure("W2b", "a run of 300 works and 100,000 calls", "works"),
    _measure("W2c", "its timeline", "timeline"),
    _measure("W2d", "a log of a million lines", "log"),
]
