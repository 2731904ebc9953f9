"""The view of an app that runs on a terminal, as a person sees it."""

from __future__ import annotations

import re

import pytest

from tests.ui.screens import CTRL_C, CTRL_Q, CTRL_S, CTRL_Z, Screen

pytestmark = pytest.mark.dependencies

#: The beginning of each app. A work goes on when it finds a file of the name it waits for.
BEGIN = """
import logging, os, sys
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.testing import poll_until

class Work(LightningWork):
    def __init__(self, **options):
        super().__init__(parallel=True, **options)
        self.progress = 0.0

    def run(self, *steps):
        for number, step in enumerate(steps):
            print('begins', step)
            self.progress = (number, len(steps))
            if step == 'fail':
                raise ValueError('no more')
            if step == 'break':
                breakpoint()
            elif step != 'go':
                poll_until(lambda: os.path.exists(step), timeout=60)
        self.progress = 1.0

class Flow(LightningFlow):
    def __init__(self, **works):
        super().__init__()
        self.asked = False
        for name, work in works.items():
            setattr(self, name, work)
"""


@pytest.fixture
def app(screen, tmp_path):
    """Start an app on the screen; `go` lets a work go on."""

    class App:
        def start(self, code, **options):
            return screen.run(BEGIN + code, tmp_path, **options)

        def go(self, *names):
            for name in names:
                (tmp_path / name).touch()

    return App()


def row_of(screen, work):
    """Return the line of a work in the table on the screen."""
    found = [line for line in screen.display if line.startswith(f"{work} ") and " | " not in line]
    return found[-1] if found else ""


ONE_WORK = """
class Root(Flow):
    def run(self):
        self.work.run('first', 'second')
        if self.work.has_succeeded:
            print('the flow has seen it')
            self.stop('The end.')

LightningApp(Root(work=Work())).run()
"""


def test_works_are_shown_below_what_is_printed_and_summed_up_at_the_end(screen, app):
    app.start(ONE_WORK)
    screen.until(
        lambda: re.search(r"running +1 +─{10} +0% +0:0\d .*begins first$", row_of(screen, "root.work"))
    )
    screen.until(lambda: screen.display[0] == "root.work | begins first")
    assert screen.display[1] == ""
    assert re.match(r"Root · 0:0\d · 1 of 1 works busy$", screen.display[2])
    assert screen.cursor == (1, 0)

    app.go("first")
    screen.until(lambda: "━━━━━─────  50%" in row_of(screen, "root.work"))
    screen.until(lambda: "MiB" in row_of(screen, "root.work"))
    app.go("second")

    assert screen.end() == 0
    assert screen.lines[:4] == [
        "root.work | begins first",
        "root.work | begins second",
        "the flow has seen it",
        "The end.",
    ]
    assert re.fullmatch(r"Root ended after \d+\.\d s: 1 call\.", screen.lines[4])
    assert re.fullmatch(r"  root\.work  1 call    \d+\.\d s", screen.lines[5])
    assert len(screen.lines) == 6


@pytest.mark.parametrize("env", [{"LIGHTNING_LITE_VIEW": "0"}, {"NO_COLOR": "1"}, {"TERM": "dumb"}], ids=str)
def test_without_the_view_there_are_plain_lines_and_no_summary(screen, app, env):
    app.go("first", "second")
    app.start(ONE_WORK, **env)

    assert screen.end() == 0
    assert screen.lines == [
        "root.work | begins first",
        "root.work | begins second",
        "the flow has seen it",
        "The end.",
    ]


def test_run_can_be_told_to_show_none(screen, app):
    app.go("first", "second")
    app.start(ONE_WORK.replace(".run()", ".run(view=False)"))

    assert screen.end() == 0
    assert screen.lines[-1] == "The end."


def test_what_failed_is_told_with_the_reason_and_what_was_printed_last(screen, app):
    app.start(
        """
class Root(Flow):
    def run(self):
        self.good.run('go')
        self.bad.run('go', 'fail')

LightningApp(Root(good=Work(), bad=Work())).run(runner='inline')
"""
    )

    assert screen.end() == 1
    summary = next(number for number, line in enumerate(screen.lines) if line.startswith("Root failed after"))
    assert screen.lines[summary].endswith("2 calls, 1 failed.")
    assert screen.lines[summary + 3] == (
        "  root.bad failed: ValueError: no more in root.bad.run('go', 'fail')"
    )
    assert screen.lines[-5:] == [
        "ValueError: no more",
        "in root.bad.run('go', 'fail')",
        "root.bad printed last:",
        "    begins go",
        "    begins fail",
    ]


MANY_WORKS = """
class Root(Flow):
    def run(self):
        self.w0.run('first')
        if not self.asked:
            self.asked = True
            logging.basicConfig(format='%(message)s')
            for number in range(300):
                print('line', number)
                logging.warning('warning %d', number)
        if self.w0.has_succeeded:
            self.stop()

LightningApp(Root(**{f'w{n}': Work(start_with_flow=False) for n in range(40)})).run()
"""


def test_many_works_fit_the_screen_whatever_its_size(screen, app):
    app.start(MANY_WORKS)
    screen.until_seen("... and ")
    screen.until(lambda: "running" in row_of(screen, "root.w0"))
    assert len(screen.display) == 30
    assert screen.display[-1] == "... and 23 more: 23 not started"

    screen.resize(60, 12)
    screen.until(lambda: screen.display and screen.display[-1] == "... and 35 more: 35 not started")
    assert "running" in row_of(screen, "root.w0")
    app.go("first")

    assert screen.end() == 0


def test_ctrl_s_loses_nothing_and_ctrl_q_goes_on(screen, app):
    app.start(MANY_WORKS)
    screen.until_seen("line 0")
    screen.type(CTRL_S)
    app.go("first")
    screen.type(CTRL_Q)

    assert screen.end() == 0
    printed = [line for line in screen.lines if re.match(r"(line|warning) \d+$", line)]
    assert printed == [f"{what} {number}" for number in range(300) for what in ("line", "warning")]


def test_ctrl_c_takes_it_away_and_ends_the_app(screen, app):
    app.start(ONE_WORK)
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    screen.type(CTRL_C)

    assert screen.end() in (130, -2)
    assert not any("works busy" in line for line in screen.lines)
    assert any(line.startswith("Root was interrupted after") for line in screen.lines)
    assert screen.lines[-1] == "KeyboardInterrupt"


def test_ctrl_z_leaves_the_terminal_to_the_shell_and_fg_brings_it_back(screen, app):
    app.start(ONE_WORK, shell='set -m; "$0" "$@"; echo "the shell"; read line; fg > /dev/null')
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    screen.type(CTRL_Z)
    screen.until_seen("the shell")
    assert not row_of(screen, "root.work")

    screen.type("\n")
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    app.go("first", "second")

    assert screen.end() == 0
    assert "the flow has seen it" in screen.lines


def test_a_breakpoint_of_a_work_has_the_terminal_for_itself(screen, app):
    app.start(ONE_WORK.replace("'second'", "'break'"))
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    app.go("first")
    screen.until_seen("(Pdb root.work)")
    assert not row_of(screen, "root.work")

    screen.type("p number\n")
    screen.until(lambda: screen.display[-1] == "(Pdb root.work)" and screen.display[-2] == "1")
    screen.type("c\n")

    assert screen.end() == 0
    assert "The end." in screen.lines


def test_a_flow_that_asks_has_the_terminal_for_itself(screen, app):
    app.start(
        """
class Root(Flow):
    def run(self):
        self.work.run('first')
        if self.work.progress == 0.0 and self.work.is_running and not self.asked:
            self.asked = True
            poll_until(lambda: os.path.exists('ask'), timeout=60)
            print('Hello,', input('Who are you? '))
            breakpoint()
            print('on it goes')
        if self.work.has_succeeded:
            self.stop('The end.')

LightningApp(Root(work=Work())).run()
"""
    )
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    app.go("ask")
    screen.until_seen("Who are you?")
    assert not row_of(screen, "root.work")
    screen.type("me\n")
    screen.until_seen("Hello, me")
    screen.until_seen("(Pdb)")
    assert not row_of(screen, "root.work")
    screen.type("p self.asked\n")
    screen.until(lambda: screen.display[-2:] == ["True", "(Pdb)"])
    screen.type("c\n")
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    app.go("first")

    assert screen.end() == 0
    assert "on it goes" in screen.lines


def test_an_app_in_the_background_of_a_shell_draws_nothing(screen, app):
    app.go("first", "second")
    app.start(ONE_WORK, shell='set -m; "$0" "$@" & wait')

    assert screen.end() == 0
    assert not any("works busy" in line for line in screen.lines)


def test_a_terminal_that_is_closed_ends_the_app(app, tmp_path):
    screen = Screen()
    program = screen.run(BEGIN + ONE_WORK, tmp_path)
    screen.until(lambda: "running" in row_of(screen, "root.work"))

    screen.hang_up()

    assert program.wait(60) in (129, -1, 141)
