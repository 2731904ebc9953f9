"""The table of works: its cells, and which columns and rows a small terminal does not show."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from lightning_lite.ui.live_table import live_table
from lightning_lite.work_row import WorkRow

pytestmark = pytest.mark.dependencies

NOW = time.mktime((2026, 11, 22, 14, 0, 0, 0, 0, -1))


def draw(rows, *, width=120, height=20, title="Flow"):
    """Return the lines of the table as plain text."""
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(live_table(rows, title=title, now=NOW, width=width, height=height), soft_wrap=True)
    return [line.rstrip() for line in console.file.getvalue().splitlines()]


def test_a_work_is_a_line():
    busy = WorkRow("root.train", "running", 3, 2, 0.75, NOW - 12, 4711, 0.98, 120 * 2**20, "epoch 12")
    idle = WorkRow("root.eval", "succeeded", 1, 1, since=NOW - 3600)

    assert draw([busy, idle]) == [
        "Flow",
        "work        state         call  progress            since   cpu   memory  last output",
        "root.train  running      3 (2)  ━━━━━━━───  75%      0:12   98%  120 MiB  epoch 12",
        "root.eval   succeeded        1                   13:00:00",
    ]


def test_a_column_without_values_is_left_out():
    assert draw([WorkRow("root.a", "not started")]) == ["Flow", "work    state", "root.a  not started"]


def test_an_app_without_works_has_only_a_title():
    assert draw([]) == ["Flow"]


@pytest.mark.parametrize("width", range(8, 140, 3))
def test_no_line_is_wider_than_the_terminal(width):
    rows = [
        WorkRow(f"root.works.work_{n}", "running", n, 2, n / 9, NOW, 1, 1.5, 2**34, "日本語 output " * 20)
        for n in range(9)
    ]
    console = Console(file=io.StringIO(), width=width, color_system=None)
    table = live_table(rows, title="A long title of an app", now=NOW, width=width, height=20)

    assert all(sum(segment.cell_length for segment in line) <= width for line in console.render_lines(table))
    lines = draw(rows, width=width, title="A long title of an app")
    assert len(lines) == 11
    assert all("root" in line or width < 10 for line in lines[2:])


def test_a_narrow_terminal_shows_fewer_columns():
    row = WorkRow("root.train", "running", 3, 1, 0.5, NOW - 5, 1, 0.5, 2**27, "a line of output")

    heads = [draw([row], width=width)[1].split() for width in (100, 75, 60, 45, 30, 20)]

    assert heads == [
        ["work", "state", "call", "progress", "since", "cpu", "memory", "last", "output"],
        ["work", "state", "call", "progress", "since", "last", "output"],
        ["work", "state", "call", "progress", "since"],
        ["work", "state", "since"],
        ["work", "state"],
        ["work"],
    ]


def test_progress_stays_longer_than_the_number_of_the_call():
    row = WorkRow("root.trials.12.train", "running", 3, 1, 0.5, NOW - 5, 1, 0.5, 2**27, "a line of output")

    assert draw([row], width=60)[1].split() == ["work", "state", "progress", "since"]


@pytest.mark.parametrize("height", [4, 5, 10, 50])
def test_busy_works_are_shown_first_if_not_all_fit(height):
    rows = [WorkRow(f"root.{n}", "running" if n in (7, 30) else "succeeded") for n in range(40)]

    lines = draw(rows, height=height)

    assert len(lines) == min(height, 42)
    busy = [line.split()[0] for line in lines if line.endswith("running") and "..." not in line]
    if height == 4:
        assert busy == ["root.7"]
        assert lines[-1] == "... and 39 more: 38 succeeded, 1 running"
    else:
        assert busy == ["root.7", "root.30"]
    if height == 10:
        assert lines[-1] == "... and 33 more: 33 succeeded"


def test_a_terminal_of_three_lines_shows_only_the_number_of_works():
    rows = [WorkRow(f"root.{n}", "running") for n in range(40)]

    assert draw(rows, height=3) == ["Flow", "... and 40 more: 40 running"]


@pytest.mark.parametrize("text", ["[red]x[/red]", "[/x]", ":smile:", "[link=file:///etc/passwd]x[/link]"])
def test_markup_in_the_output_is_shown_unchanged(text):
    assert draw([WorkRow("root.a", "running", last_line=text)])[2].endswith(text)


def test_failures_are_red():
    console = Console(file=io.StringIO(), force_terminal=True, width=80, color_system="standard")
    console.print(live_table([WorkRow("root.a", "failed")], title="Flow", now=NOW, width=80, height=9))

    assert "\x1b[1;31mfailed\x1b[0m" in console.file.getvalue()
