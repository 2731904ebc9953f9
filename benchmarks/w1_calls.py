"""W1: what a call costs while the page is open, compared with the same app without a page.

20 works make 1,000 calls a second in all. The server of the page and its client, or a browser, are processes
of their own. A call costs the time from the line of the flow to its next line; for W1c, the CPU time of the
flow's process, which does not depend on what else the machine does.
"""

from __future__ import annotations

import os
import statistics
import threading
import time
from functools import partial

from benchmarks.made_runs import make_run
from benchmarks.measure import Measure
from benchmarks.page import serving, watching
from benchmarks.programs import figure_of
from lightning_lite import LightningApp, LightningFlow, LightningWork

WORKS = 20
CALLS = 5000
PERIOD = 0.001


class Echo(LightningWork):
    """Returns its argument, and reports its progress."""

    def __init__(self) -> None:
        super().__init__()
        self.progress = 0.0

    def run(self, number: int) -> int:
        """Return `number`."""
        self.progress = number / CALLS
        return number


class Root(LightningFlow):
    """Makes a call each millisecond, by turns of the works; the first one of each work does not count."""

    def __init__(self, is_cpu_asked: bool) -> None:
        super().__init__()
        self.echoes = [Echo() for _ in range(WORKS)]
        self._durations: list[float] = []
        self._cpu_before = 0.0
        self._is_cpu_asked = is_cpu_asked
        self._number = 0
        self._due = 0.0
        self._clock = threading.Event()

    def run(self) -> None:
        """Continue with the call that the last pass requested."""
        while self._number < CALLS:
            began = time.monotonic()
            assert self.echoes[self._number % WORKS].run(self._number) == self._number
            ended = time.monotonic()
            if self._number == WORKS:
                self._cpu_before = time.process_time()
            self._durations.append(ended - began)
            self._number += 1
            self._due = max(self._due + PERIOD, ended)
            self._clock.wait(max(0.0, self._due - time.monotonic()))
        cpu = (time.process_time() - self._cpu_before) / (CALLS - WORKS)
        print((cpu if self._is_cpu_asked else statistics.fmean(self._durations[WORKS:])) * 1e6)
        self.stop()


def closed(is_cpu_asked: bool) -> None:
    """Print the microseconds of a call without a page."""
    LightningApp(Root(is_cpu_asked), root_dir="root").run()


def opened(is_cpu_asked: bool, watcher: str) -> None:
    """Print the microseconds of a call while a function of `benchmarks.page` watches the run."""
    root = os.path.abspath("root")
    make_run(root)  # an earlier run: there is no page of an empty folder
    with serving(root) as server, watching(server, watcher):
        closed(is_cpu_asked)


MEASURES = [
    Measure(
        name=name,
        what=f"{what} one of 1,000 calls a second by 20 works, with the page open in {where}",
        limit_name="without the page",
        unit="µs",
        goal=1.05,
        ours=partial(figure_of, __name__, "opened", is_cpu_asked, watcher),
        limit=partial(figure_of, __name__, "closed", is_cpu_asked),
    )
    for name, what, is_cpu_asked, watcher, where in (
        ("W1", "time of", False, "watch", "a client"),
        ("W1b", "time of", False, "watch_in_browser", "Chromium on the same machine"),
        ("W1c", "CPU time in the flow's process of", True, "watch", "a client"),
    )
]
