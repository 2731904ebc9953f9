"""The logs of runs: the last lines, times, and following new lines."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from itertools import groupby
from pathlib import Path

import pytest

from lightning_lite.runners.output.flow_log import FlowLog
from lightning_lite.runners.output.line_times import LogTimes, TimesWriter
from lightning_lite.runners.output.log_reader import LogReader, RunLogs
from lightning_lite.runners.output.log_writer import LogWriter

from tests.cli.short_apps import DEADLINE, running
from tests.cli.verbs import call
from tests.support.limits import little_memory
from tests.support.logs import make_log
from tests.support.terminals import output_on_terminal

pytestmark = pytest.mark.dependencies

TWO_AFTER_ANOTHER = """
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Say(LightningWork):
    def run(self, text):
        print(text)
        if text == "second":
            print("without an end", end="")

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.first, self.second = Say(start_with_flow=False), Say(start_with_flow=False)
    def run(self):
        self.first.run("first")
        self.wait_for_reader()
        self.second.run("second")
        self.stop()
    def wait_for_reader(self):
        import os, threading
        while not os.path.exists("reader"):
            threading.Event().wait(0.01)

LightningApp(Root()).run()
"""


def make_run_with_log(folder: Path, text: str) -> Path:
    """Create a root with one run, in which `root.a` has printed a text; return the root."""
    root = folder / "root"
    run = root / "runs" / "20260101-000000000-abcdef"
    run.mkdir(parents=True)
    make_log(run, "root.a", (1.0, text))
    return root


def texts(logs: RunLogs, *, to_end: bool = True) -> list[str]:
    return [line.text for line in logs.read(to_end=to_end)]


def test_lines_of_several_works_are_in_the_order_of_their_times(tmp_path: Path):
    make_log(tmp_path, "root.a", (1.0, "a1\n"), (3.0, "a3\na3 too\n"))
    make_log(tmp_path, "root.b", (2.0, "b2\n"), (4.0, "b4\n"))

    lines = list(RunLogs(str(tmp_path), []).read(to_end=True))

    assert [line.text for line in lines] == ["a1", "b2", "a3", "a3 too", "b4"]
    assert [line.time for line in lines] == [1.0, 2.0, 3.0, 3.0, 4.0]


def test_a_line_has_the_time_of_its_beginning(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (1.0, "a long"), (2.0, " line\n"), (2.5, "next\n"))

    assert [line.time for line in LogReader(str(log), "root.a").read(to_end=True)] == [1.0, 2.5]


@pytest.mark.parametrize("end", ["\n", ""])
def test_the_tail_has_the_last_lines_of_any_length(tmp_path: Path, end: str):
    lines = ["one", "", "three" * 30_000, "four"]
    make_log(tmp_path, "root.a", (1.0, "\n".join(lines) + end))

    for nlines in (0, 1, 2, 3, 4, 5, 1000):
        assert texts(RunLogs(str(tmp_path), [], nlines=nlines)) == (lines[-nlines:] if nlines else [])


def test_since_leaves_out_earlier_lines(tmp_path: Path):
    make_log(tmp_path, "root.a", (1.0, "old\n"), (5.0, "new\n"), (6.0, "newest\n"))

    assert texts(RunLogs(str(tmp_path), [], since=5.0)) == ["new", "newest"]
    assert texts(RunLogs(str(tmp_path), [], since=5.0, nlines=1)) == ["newest"]
    assert texts(RunLogs(str(tmp_path), [], since=7.0)) == []


def test_a_log_without_a_valid_index_is_shown_whole(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (1.0, "line\n"))
    log.with_suffix(".times").write_text("no index\n17\nx y z\n")

    (line,) = RunLogs(str(tmp_path), [], since=5.0).read(to_end=True)

    assert (line.text, line.time) == ("line", None)


def test_new_lines_are_read_when_they_are_complete(tmp_path: Path):
    log = make_log(tmp_path, "root.a", (1.0, "one\ntw"))
    logs = RunLogs(str(tmp_path), [])

    assert texts(logs, to_end=False) == ["one"]
    with open(log, "a") as file:
        file.write("o\nthree\n")
    make_log(tmp_path, "root.b", (2.0, "another work\n"))
    assert texts(logs, to_end=False) == ["two", "three", "another work"]


def test_the_index_of_a_work_that_prints_all_the_time_stays_small(tmp_path: Path):
    log = make_log(tmp_path, "root.a", *((1.0 + number / 1e6, "x\n") for number in range(10_000)))

    assert len(log.with_suffix(".times").read_text().splitlines()) <= 11
    assert LogTimes(str(log)).at(0) == 1.0


def test_follow_shows_works_that_start_later_and_ends_with_the_run(tmp_path: Path):
    with running(tmp_path, source=TWO_AFTER_ANOTHER) as app:
        app.wait_for_output("first")
        command = [sys.executable, "-m", "lightning_lite", "logs", "-f", "--root", app.root]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
            assert follower.stdout is not None
            assert follower.stdout.readline() == "root.first | first\n"
            (tmp_path / "reader").touch()
            rest = follower.stdout.read()
            assert follower.wait(DEADLINE) == 0
        assert app.code() == 0

    assert rest == "root.second | second\nroot.second | without an end\n"


def test_the_end_of_the_reader_ends_logs_without_a_message(tmp_path: Path):
    root = make_run_with_log(tmp_path, "line\n" * 200_000)
    command = [sys.executable, "-m", "lightning_lite", "logs", "--root", str(root)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(DEADLINE) == 1


def test_control_characters_in_a_log_are_escaped(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    root = make_run_with_log(tmp_path, "\x1b[2Jbad\n")

    assert call(capfd, "logs", "--root", root).out == "root.a | \\x1b[2Jbad\n"
    output = call(capfd, "logs", "--json", "--root", root).out
    assert json.loads(output) == {"time": 1.0, "work": "root.a", "line": "\x1b[2Jbad"}


#: Shows the logs as they are, with a variable, and with an option.
SHOWING = """
import os, sys
from lightning_lite.cli.main import main

root = sys.argv[1]
for options, variables in ([], {}), ([], {"NO_COLOR": "1"}), (["--plain"], {}):
    os.environ.update(variables)
    sys.argv = ["lightning-lite", "logs", "--no-prefix", "--root", root, *options]
    try:
        main()
    except SystemExit as end:
        assert not end.code
    for name in variables:
        del os.environ[name]
"""


def test_colours_are_shown_on_terminals_that_show_them(tmp_path: Path):
    root = make_run_with_log(tmp_path, "\x1b[0;31mred\x1b[0m \x1b[2J\x1b]0;title\x07\n")
    command = [sys.executable, "-c", SHOWING, str(root)]

    variables = os.environ | {"TERM": "xterm"}
    shown = output_on_terminal(lambda terminal: subprocess.Popen(command, stdout=terminal, env=variables))

    assert shown.splitlines() == [
        rf"{red} \x1b[2J\x1b]0;title\x07" for red in ("\x1b[0;31mred\x1b[0m", "red", "red")
    ]


def test_without_a_terminal_lines_have_no_colours(tmp_path: Path, capfd: pytest.CaptureFixture[str]):
    root = make_run_with_log(tmp_path, "\x1b[0;31mred\x1b[0m\n")

    assert call(capfd, "logs", "--root", root).out == "root.a | red\n"
    assert json.loads(call(capfd, "logs", "--json", "--root", root).out)["line"] == "red"


#: Bytes of a hole in a sparse file.
HOLE = 100 * 1000**3


def sparse(log: Path, *pieces: tuple[int, bytes]) -> None:
    """Write pieces into a log, each behind a hole."""
    with open(log, "r+b") as file:
        for hole, text in pieces:
            file.truncate(file.seek(hole, 2))
            file.write(text)


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ([(0, b"")], ["first"]),
        ([(HOLE, b"")], ["first", "[zeros]"]),
        ([(HOLE, b"after\n")], ["first", "[zeros]", "[zeros]after"]),
        (
            [(HOLE, b"one\ntwo"), (HOLE, b"\nthree\n")],
            ["first", "[zeros]", "[zeros]one", "two[zeros]", "[zeros]", "three"],
        ),
        ([(0, b"a\0b\n")], ["first", "a\0b"]),
        ([(0, b"a" + bytes(3_000_000) + b"x\n")], ["first", "a[zeros]", "[zeros]", "[zeros]x"]),
    ],
    ids=["none", "at the end", "in the middle", "two", "one zero", "written zeros"],
)
def test_a_hole_in_a_log_takes_neither_time_nor_memory(
    tmp_path: Path, pieces: list[tuple[int, bytes]], lines: list[str]
):
    log = make_log(tmp_path, "root.a", (1.0, "first\n"))
    sparse(log, *pieces)

    with little_memory():
        found = texts(RunLogs(str(tmp_path), []))

    note = re.compile(r"\[(\d+) bytes are zero\]")
    assert [line for line, _ in groupby(note.sub("[zeros]", line) for line in found)] == lines
    zeros = sum(int(match[1]) for match in note.finditer("".join(found)))
    newlines = 1 + sum(text.count(b"\n") for _, text in pieces)
    assert zeros + len(note.sub("", "".join(found)).encode()) + newlines == log.stat().st_size


@pytest.mark.parametrize("nlines", [1, 2, 3, 50])
def test_the_last_lines_of_a_huge_log_take_neither_time_nor_memory(tmp_path: Path, nlines: int):
    log = make_log(tmp_path, "root.a", (1.0, "first\n"))
    sparse(log, (HOLE, b"\nlast but one\nlast\n"))

    with little_memory():
        found = texts(RunLogs(str(tmp_path), [], nlines=nlines))

    assert found[-2:] == ["last but one", "last"][-nlines:]
    assert len(found) <= nlines + 1  # the hole is cut


@pytest.mark.parametrize("character", ["x", "é", "€", "🙂"])
def test_a_line_of_any_length_is_shown_in_parts_with_whole_characters(tmp_path: Path, character: str):
    text = "y" + character * 1_200_000
    make_log(tmp_path, "root.a", (1.0, f"first\n{text}\nlast\n"))

    first, *parts, last = texts(RunLogs(str(tmp_path), []))

    assert (first, last) == ("first", "last")
    assert len(parts) > 1
    assert "".join(parts) == text
    assert all(len(part.encode()) <= 1024 * 1024 for part in parts)


@pytest.mark.parametrize("end", ["", "\n", "\n\n"])
@pytest.mark.parametrize("size", [10, 70_000, 600_000])
def test_the_last_lines_are_the_last_of_all_lines(tmp_path: Path, end: str, size: int):
    text = "\n".join(f"{number} " + "x" * size for number in range(4)) + end
    make_log(tmp_path, "root.a", (1.0, text))
    lines = text.removesuffix("\n").split("\n")

    for nlines in range(6):
        assert texts(RunLogs(str(tmp_path), [], nlines=nlines)) == (lines[-nlines:] if nlines else [])


COLOURS = """
import os, sys, warnings
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Say(LightningWork):
    def run(self):
        import logging
        print("terminal:", sys.stdout.isatty(), sys.stderr.isatty())
        print("\\x1b[31mred\\x1b[0m" if os.environ.get("FORCE_COLOR") else "no colours")

class Root(LightningFlow):
    def __init__(self):
        super().__init__()
        self.plain = Say()
        self.told = Say(env={"FORCE_COLOR": "1"})
    def run(self):
        self.plain.run()
        self.told.run()
        self.stop()

LightningApp(Root()).run()
"""


def test_a_work_has_no_terminal_and_prints_colours_only_if_it_is_told_to(tmp_path: Path):
    with running(tmp_path, source=COLOURS) as app:
        assert app.code() == 0
    logs = {log.stem: log.read_text() for log in tmp_path.glob("**/logs/root.*.log")}

    assert logs["root.plain"] == "terminal: False False\nno colours\n"
    assert logs["root.told"] == "terminal: False False\n\x1b[0;31mred\x1b[0m\n"


def test_lines_of_the_flow_and_of_works_within_a_millisecond_keep_their_order(tmp_path):
    logs = tmp_path / "logs"
    logs.mkdir()
    flow = FlowLog(str(logs))
    works = [LogWriter(name, str(logs / f"{name}.log"), lambda error: None) for name in ("root.a", "root.z")]
    printed = []
    for number in range(100):
        for position, work in enumerate(works):
            work.append(f"work {position}, {number}\n".encode())
            flow.write("stdout", f"flow after {position}, {number}\n")
            printed += [f"work {position}, {number}", f"flow after {position}, {number}"]
    for log in (flow, *works):
        log.close()

    assert [line.text for line in RunLogs(str(tmp_path), ()).read(to_end=True)] == printed


def test_a_work_that_prints_alone_has_an_entry_of_its_index_each_millisecond(tmp_path):
    moments = iter([10.0, 10.0002, 10.0004, 10.002])
    times = TimesWriter(str(tmp_path / "root.a.log"), lambda: next(moments))
    for place in range(4):
        times.note(place)
    times.close()

    assert (tmp_path / "root.a.times").read_text() == "0 10.000000\n3 10.002000\n"
