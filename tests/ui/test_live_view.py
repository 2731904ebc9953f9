"""The live view of an app that runs on a terminal."""

from __future__ import annotations

import re

import pytest

from tests.ui.screens import CTRL_C, CTRL_Q, CTRL_S, CTRL_Z, Screen

pytestmark = pytest.mark.dependencies

#: The beginning of each app. A step of a work ends when a file with its name exists.
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
    """Start an app on the screen; `finish` ends steps of its works."""

    class App:
        def start(self, code, **options):
            return screen.run(BEGIN + code, tmp_path, **options)

        def finish(self, *steps):
            for step in steps:
                (tmp_path / step).touch()

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


def test_works_are_shown_below_the_output_and_summarised_at_the_end(screen, app):
    app.start(ONE_WORK, NO_COLOR="")  # as without the variable
    # One condition for the whole screen: between two reads, only a part of it may have arrived.
    screen.until(
        lambda: (
            screen.display[:2] == ["root.work | begins first", ""]
            and re.match(r"Root · \d:\d\d · 1 of 1 works busy$", "".join(screen.display[2:3]))
            and re.search(r"running +1 +─{10} +0% +\d:\d\d .*begins first$", row_of(screen, "root.work"))
            and screen.cursor == (1, 0)
        )
    )

    app.finish("first")
    screen.until(lambda: "━━━━━─────  50%" in row_of(screen, "root.work") and screen.cursor[1] == 0)
    assert screen.colours == {"cyan", "green"}
    screen.until(lambda: "MiB" in row_of(screen, "root.work"))
    app.finish("second")

    assert screen.end() == 0
    assert screen.lines[:4] == [
        "root.work | begins first",
        "root.work | begins second",
        "the flow has seen it",
        "The end.",
    ]
    duration = r"(\d+ ms|\d+\.\d s|\d+ min \d+ s)"
    assert re.fullmatch(rf"Root ended after {duration}: 1 call\.", screen.lines[4])
    assert re.fullmatch(rf"  root\.work  1 call    {duration}", screen.lines[5])
    assert len(screen.lines) == 6


WITH_CHILD = """
import subprocess

class Parent(Work):
    def run(self):
        program = "import sys; data = b'x' * 2**27; print('the child is there', flush=True); sys.stdin.read()"
        with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE) as child:
            poll_until(lambda: os.path.exists('first'), timeout=60)
            child.communicate()

class Root(Flow):
    def run(self):
        self.work.run()
        if self.work.has_succeeded:
            self.stop()

LightningApp(Root(work=Parent())).run()
"""


def test_the_memory_of_a_work_counts_that_of_its_children(screen, app):
    app.start(WITH_CHILD)

    screen.until(lambda: re.search(r" (1[3-9]|2\d)\d MiB", row_of(screen, "root.work")))  # the child has 128

    app.finish("first")
    assert screen.end() == 0


WITHOUT_VIEW = """
class Root(Flow):
    def run(self):
        self.work.run('go', 'go')
        if self.work.has_succeeded:
            print('the flow has seen it')
            self.stop('The end.')

print('no view is wanted')
LightningApp(Root(work=Work())).run(view=False)
print('no view by the variable')
os.environ['LIGHTNING_LITE_VIEW'] = '0'
LightningApp(Root(work=Work())).run()
print('a terminal that can not draw one')
os.environ.pop('LIGHTNING_LITE_VIEW')
os.environ['TERM'] = 'dumb'
LightningApp(Root(work=Work())).run()
"""


def test_without_the_view_only_the_output_is_shown(screen, app):
    app.start(WITHOUT_VIEW)

    assert screen.end() == 0
    output = ["root.work | begins go", "root.work | begins go", "the flow has seen it", "The end."]
    assert screen.lines == [
        "no view is wanted",
        *output,
        "no view by the variable",
        *output,
        "a terminal that can not draw one",
        *output,
    ]


def test_no_color_takes_away_the_colours_of_the_view_only(screen, app):
    app.start(ONE_WORK, NO_COLOR="1")
    screen.until(lambda: "running" in row_of(screen, "root.work") and screen.cursor == (1, 0))
    app.finish("first")
    screen.until(lambda: "━━━━━─────  50%" in row_of(screen, "root.work") and screen.cursor[1] == 0)
    assert not screen.colours
    app.finish("second")

    assert screen.end() == 0


def test_the_summary_has_all_calls_although_the_wall_clock_is_set_back(screen, app):
    app.start(
        """
import time
now = time.time

class Root(Flow):
    def run(self):
        time.time = lambda: now() - 3600
        self.work.run('go')
        if self.work.has_succeeded:
            self.stop()

LightningApp(Root(work=Work())).run(runner='inline')
"""
    )

    assert screen.end() == 0
    assert any(re.fullmatch(r"Root ended after .*: 1 call\.", line) for line in screen.lines)


def test_a_failure_is_shown_with_its_reason_and_the_last_output_of_the_work(screen, app):
    app.start(
        """
class Root(Flow):
    def run(self):
        self.good.run('go')
        if self.good.has_succeeded:
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
    error = len(screen.lines) - screen.lines[::-1].index("ValueError: no more") - 1
    assert screen.lines[error : error + 5] == [
        "ValueError: no more",
        "in root.bad.run('go', 'fail')",
        "root.bad printed last:",
        "    begins go",
        "    begins fail",
    ]
    assert screen.lines[error + 5].startswith("To resume this run: lightning-lite resume ")


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


def test_many_works_fit_into_a_screen_of_any_size(screen, app):
    def shows_works_and(last_line):
        return screen.display[-1:] == [last_line] and "running" in row_of(screen, "root.w0")

    app.start(MANY_WORKS)
    screen.until(lambda: shows_works_and("... and 23 more: 23 not started"))
    assert len(screen.display) == 30

    screen.resize(60, 12)
    screen.until(lambda: shows_works_and("... and 35 more: 35 not started"))
    app.finish("first")

    assert screen.end() == 0


def test_no_output_is_lost_between_ctrl_s_and_ctrl_q(screen, app):
    app.start(MANY_WORKS)
    screen.until_seen("line 0")
    screen.type(CTRL_S)
    app.finish("first")
    screen.type(CTRL_Q)

    assert screen.end() == 0
    printed = [line for line in screen.lines if re.match(r"(line|warning) \d+$", line)]
    assert printed == [f"{what} {number}" for number in range(300) for what in ("line", "warning")]


def test_ctrl_c_removes_the_view_and_ends_the_app(screen, app):
    app.start(ONE_WORK)
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    screen.type(CTRL_C)

    assert screen.end() in (130, -2)
    assert not any("works busy" in line for line in screen.lines)
    assert any(line.startswith("Root was interrupted after") for line in screen.lines)
    after = screen.lines[screen.lines.index("KeyboardInterrupt") + 1 :]
    assert after[0].startswith("To resume this run: lightning-lite resume ")
    assert "Traceback" not in screen.text


def test_ctrl_z_removes_the_view_and_fg_shows_it_again(screen, app):
    app.start(ONE_WORK, shell='set -m; "$0" "$@"; echo "the shell"; read line; fg > /dev/null')
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    screen.type(CTRL_Z)
    screen.until_seen("the shell")
    assert not row_of(screen, "root.work")

    screen.type("\n")
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    app.finish("first", "second")

    assert screen.end() == 0
    assert "the flow has seen it" in screen.lines


def test_the_view_is_hidden_at_a_breakpoint_of_a_work(screen, app):
    app.start(ONE_WORK.replace("'second'", "'break'"))
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    app.finish("first")
    screen.until_seen("(Pdb root.work)")
    assert not row_of(screen, "root.work")

    screen.type("p number\n")
    screen.until(lambda: screen.display[-1] == "(Pdb root.work)" and screen.display[-2] == "1")
    screen.type("c\n")

    assert screen.end() == 0
    assert "The end." in screen.lines


def test_the_view_is_hidden_during_input_and_at_a_breakpoint_of_the_flow(screen, app):
    app.start(
        """
class Root(Flow):
    def run(self):
        self.work.run('first')
        if self.work.is_running and not self.asked:
            self.asked = True
            poll_until(lambda: os.path.exists('ask'), timeout=60)
            print('Hello,', input('Who are you? '))
            breakpoint()
            print('the flow continues')
        if self.work.has_succeeded:
            self.stop('The end.')

LightningApp(Root(work=Work())).run()
"""
    )
    screen.until(lambda: "running" in row_of(screen, "root.work"))
    app.finish("ask")
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
    app.finish("first")

    assert screen.end() == 0
    assert "the flow continues" in screen.lines


def test_an_app_in_the_background_of_a_shell_draws_nothing(screen, app):
    app.finish("first", "second")
    app.start(ONE_WORK, shell='set -m; "$0" "$@" & wait')

    assert screen.end() == 0
    assert not any("works busy" in line for line in screen.lines)


def test_a_terminal_that_is_closed_ends_the_app(app, tmp_path):
    screen = Screen()
    program = screen.run(BEGIN + ONE_WORK, tmp_path)
    screen.until(lambda: "running" in row_of(screen, "root.work"))

    screen.hang_up()

    assert program.wait(60) in (129, -1, 141)
