"""W4: how late an open page shows an event, by the clock of the machine.

The text of each event is its time in milliseconds since 1970. The browser looks for the newest one after each
change of its document.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import threading
import time
from functools import partial

from benchmarks.g3_journal import goal
from benchmarks.made_runs import make_run
from benchmarks.measure import Measure
from benchmarks.p4_call import Echo
from benchmarks.page import browsing, running_run, serving
from benchmarks.programs import DEADLINE, NoFigure, environment, figure_of
from lightning_lite import LightningApp, LightningFlow, LightningWork

EVENTS = 15

#: The events come at no fixed beat, because the page asks at one.
PERIOD = (0.7, 1.3)

_WATCH = r"""(() => {
    window.delays = [];
    let newest = 0;
    new MutationObserver(() => {
        const text = document.querySelector("main")?.innerText ?? "";
        const found = Math.max(0, ...(text.match(/\b1\d{12}\b/g) ?? []));
        if (found > newest) window.delays.push(Date.now() - found);
        newest = Math.max(newest, found);
    }).observe(document, { childList: true, characterData: true, subtree: true });
})()"""


class Ticker(LightningWork):
    """Prints the time, and changes its state to it, again and again."""

    def __init__(self) -> None:
        super().__init__(parallel=True)
        self.moment = 0

    def run(self) -> None:
        """Run until the work is ended."""
        while True:
            moment = round(time.time() * 1000)
            print(moment, flush=True)
            self.moment = moment
            threading.Event().wait(random.uniform(*PERIOD))


class Root(LightningFlow):
    """Makes a call with each new time."""

    def __init__(self) -> None:
        super().__init__()
        self.ticker = Ticker()
        self.echo = Echo()

    def run(self) -> None:
        """Call the second work when the first one has changed its state."""
        self.ticker.run()
        if self.ticker.moment:
            self.echo.run(self.ticker.moment)


def app() -> None:
    """Run the app until it is killed."""
    LightningApp(Root(), root_dir="root").run()


def delay(view: str) -> None:
    """Print the median of the seconds after which a view shows an event."""
    root = os.path.abspath("root")
    make_run(root)  # an earlier run: there is no page of an empty folder
    program = subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import app; app()"],
        env=environment(),
        stdout=subprocess.DEVNULL,
    )
    try:
        with serving(root) as server, browsing() as browser:
            run = running_run(server.address)
            tab = browser.new_page()
            tab.add_init_script(_WATCH)
            tab.goto(server.url(f"/runs/{run}/{view}"))
            deadline = time.monotonic() + DEADLINE
            while len(delays := tab.evaluate("window.delays")) <= EVENTS:
                if time.monotonic() > deadline:
                    raise NoFigure(f"the page has shown {len(delays)} events")
                tab.wait_for_timeout(200)
    finally:
        program.terminate()
        program.wait()
    print(statistics.median(delays[1:]) / 1000)  # the first one had happened before the page was open


MEASURES = [
    Measure(
        name=name,
        what=f"time until an open page shows {what}",
        limit_name="the goal",
        unit="s",
        goal=1.0,
        ours=partial(figure_of, __name__, "delay", view),
        limit=partial(goal, 0.5),
        rounds=3,
    )
    for name, what, view in (
        ("W4a", "a line that a work prints", "logs"),
        ("W4b", "a change of state", "state"),
        ("W4c", "a call", "calls"),
    )
]
