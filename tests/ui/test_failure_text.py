import io

import pytest

from lightning_lite.messages import Failure
from lightning_lite.ui.failure_text import describe_failure, show_failure

pytestmark = pytest.mark.dependencies

TRACEBACK = """\
Traceback (most recent call last):
  File "train.py", line 3, in run
    1 / 0
ZeroDivisionError: no
"""


class FakeTerminal(io.StringIO):
    def isatty(self):
        return True


def test_a_report_begins_with_the_error_and_has_the_traceback_below():
    failure = Failure("user_exception", "ZeroDivisionError: no in root.train.run(1)", TRACEBACK)

    assert describe_failure("root.train", failure) == (
        "root.train failed: ZeroDivisionError: no in root.train.run(1)\n"
        "    Traceback (most recent call last):\n"
        '      File "train.py", line 3, in run\n'
        "        1 / 0\n"
        "    ZeroDivisionError: no\n"
    )


def test_a_reason_other_than_an_exception_is_named():
    report = describe_failure("root.train", Failure("timeout", "no answer after 3 s in root.train.run(1)"))

    assert report == "root.train failed (timeout): no answer after 3 s in root.train.run(1)\n"


def test_a_report_ends_with_the_last_output_of_the_work():
    failure = Failure("user_exception", "ZeroDivisionError: no in root.train.run(1)", TRACEBACK)
    report = describe_failure("root.train", failure, "epoch 3\nepoch \x1b[2J4\n")

    assert report.splitlines()[-4:] == [
        "    ZeroDivisionError: no",
        "    root.train printed last:",
        "        epoch 3",
        "        epoch \\x1b[2J4",
    ]


def test_control_characters_can_not_forge_a_report():
    failure = Failure(
        "user_exception", "E: \x1b[2J\nroot.other failed", "Traceback\n\x1b]0;t\x07[/red]\r\u202e"
    )

    assert describe_failure("root.train", failure) == (
        "root.train failed: E: \\x1b[2J\\nroot.other failed\n"
        "    Traceback\n"
        "    \\x1b]0;t\\x07[/red]\n"
        "    \\u202e\n"
    )


def test_only_a_terminal_gets_colours(monkeypatch, capsys):
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    terminal = FakeTerminal()

    show_failure("root.train", Failure("crashed", "[red] gone"), terminal)
    show_failure("root.train", Failure("crashed", "[red] gone"))

    assert terminal.getvalue() == "\x1b[1;31mroot.train failed (crashed): [red] gone\x1b[0m\n"
    assert capsys.readouterr().err == "root.train failed (crashed): [red] gone\n"


def test_a_program_without_a_console_shows_no_report(monkeypatch):
    monkeypatch.setattr("sys.stderr", None)

    show_failure("root.train", Failure("crashed", "gone"))  # raises nothing


def test_a_report_that_can_not_be_written_is_left_out():
    closed = io.StringIO()
    closed.close()

    show_failure("root.train", Failure("crashed", "gone"), closed)  # raises nothing
