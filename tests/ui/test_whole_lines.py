"""Lines of the flow and of works stay whole when they go to the same pipe or file."""

import io
import os
import re
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from types import FrameType

import pytest

from lightning_lite.testing import poll_until
from lightning_lite.ui.terminal import Terminal
from lightning_lite.ui.whole_lines import WholeLines

from tests.support.processes import DEADLINE, run_script

APP = """
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.ui import whole_lines

whole_lines._LONGEST_WAIT = 60.0  # as below

class Work(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)
        self.n = 0

    def run(self):
        for i in range(600):
            print("work", i, flush=True)
            self.n = i // 10

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run()
        for i in range(20):
            print("flow", "line", i, "end")
        if self.work.has_succeeded:
            print("the last line", end="")
            self.stop()

LightningApp(Flow()).run(runner={runner!r})
"""


@pytest.mark.parametrize(("runner", "unbuffered"), [("processes", ""), ("processes", "1"), ("inline", "")])
def test_lines_of_flow_and_works_are_whole_and_in_order(tmp_path: Path, runner: str, unbuffered: str) -> None:
    script, out = tmp_path / "app.py", tmp_path / "out.txt"
    script.write_text(APP.format(runner=runner))

    with out.open("w") as file:
        environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
        subprocess.run([sys.executable, script], cwd=tmp_path, env=environment, stdout=file, check=True)

    *lines, last = out.read_text().split("\n")
    assert last == "the last line"
    by_work = [line for line in lines if line.startswith("root.work | ")]
    assert by_work == [f"root.work | work {i}" for i in range(600)]
    by_flow = [line for line in lines if not line.startswith("root.work | ")]
    assert by_flow == [f"flow line {i % 20} end" for i in range(len(by_flow))], by_flow[:50]


LONG = """
import sys, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork
from lightning_lite.ui import whole_lines

# On a loaded machine, the thread of the flow may not run for longer between the pieces of one print.
whole_lines._LONGEST_WAIT = 60.0
LENGTHS = [int(length) for length in sys.argv[2:]]

class Work(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)

    def run(self):
        for _ in range(50):
            for length in LENGTHS:
                print("w" * length)

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work, self.other = Work(), Work()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._print)

    def _print(self):
        while not self._ended.is_set():
            print("flow", "f" * 20)

    def run(self):
        if self._thread.ident is None:
            self._thread.start()
        self.work.run()
        self.other.run()
        if self.work.has_succeeded and self.other.has_succeeded:
            self._ended.set()
            self._thread.join()
            self.stop()

LightningApp(Flow()).run(runner=sys.argv[1], view=False)
"""


@pytest.mark.parametrize(
    ("runner", "lengths", "unbuffered"),
    [
        ("processes", (1100, 40_000), ""),
        ("processes", (7000,), "1"),
        ("inline", (9000,), ""),
        ("inline", (2000,), "1"),
    ],
)
def test_long_lines_of_works_are_not_split_by_a_thread_of_the_flow(
    tmp_path: Path, runner: str, lengths: tuple[int, ...], unbuffered: str
) -> None:
    script = tmp_path / "app.py"
    script.write_text(LONG)

    environment = os.environ | {"PYTHONUNBUFFERED": unbuffered}
    lines = run_script(script, runner, *lengths, cwd=tmp_path, env=environment).splitlines()

    flow = "flow " + "f" * 20
    works = [line for line in lines if line != flow]
    assert sorted(works) == [
        f"root.{name} | {'w' * length}" for name in ("other", "work") for length in lengths for _ in range(50)
    ], {line[:100] for line in works}
    assert len(lines) > len(works)


@contextmanager
def stopped_in_a_long_line() -> Iterator[tuple[Terminal, threading.Thread, int]]:
    """A terminal on a full pipe, the thread that shows a line of 100,000 characters, and the read end."""
    read_end, write_end = os.pipe()
    with open(write_end, "w", encoding="utf-8") as stream, redirect_stdout(stream):
        terminal = Terminal()
        terminal.keep_lines_whole()
        showing = threading.Thread(target=terminal.show, args=("a", "w" * 100_000))
        showing.start()
        poll_until(lambda: not is_writable(write_end), timeout=DEADLINE)
        yield terminal, showing, read_end


def test_the_flow_prints_while_the_reader_has_stopped_in_a_long_line_of_a_work() -> None:
    with stopped_in_a_long_line() as (terminal, showing, read_end):
        sys.stdout.write("flow goes on\n")  # returns, as with a stopped reader of any program
        flushing = threading.Thread(target=print, args=("flushed",), kwargs={"flush": True})
        flushing.start()
        with open(read_end, "rb") as reader:
            text = b""
            while not text.endswith(b"flushed\n"):
                text += reader.read1()
        showing.join(DEADLINE)
        flushing.join(DEADLINE)
        terminal.close()

    assert text == b"a | " + b"w" * 100_000 + b"\nflow goes on\nflushed\n"


@pytest.mark.parametrize("end", ["close", "hold"])
def test_the_end_of_a_long_line_is_not_waited_for_when_the_terminal_is_closed_or_held(end: str) -> None:
    with stopped_in_a_long_line() as (terminal, showing, read_end):
        flushing = threading.Thread(target=print, args=("x" * 1000,), kwargs={"flush": True})
        flushing.start()

        getattr(terminal, end)()
        with open(read_end, "rb") as reader:
            text = b""
            while not text.endswith(b"x\n"):
                text += reader.read1()
            flushing.join(DEADLINE)
            terminal.close()
            showing.join(DEADLINE)

    assert not showing.is_alive()
    assert re.fullmatch(rb"a \| w+x{1000}\n", text)


def is_writable(fd: int) -> bool:
    return bool(select.select([], [fd], [], 0)[1])


def make_lines() -> tuple[io.TextIOWrapper, WholeLines, io.BytesIO]:
    buffer = io.BytesIO()
    stream = io.TextIOWrapper(buffer, write_through=False)
    return stream, WholeLines(stream), buffer


def test_a_line_whose_beginning_was_flushed_is_waited_for_and_then_ended() -> None:
    stream, lines, buffer = make_lines()
    print("name? ", end="", file=stream, flush=True)

    printing = threading.Thread(target=lines.write_lines, args=("a work\n",))
    printing.start()
    print("Ada", file=stream)
    printing.join()
    print("50 %\r", end="", file=stream)
    lines.write_lines("a work\n")
    lines.close()

    stream.flush()
    assert re.fullmatch(rb"name\? (Ada\na work\n|\na work\nAda\n)50 %\r\na work\n", buffer.getvalue())


def test_a_long_line_is_written_before_its_end() -> None:
    stream, lines, buffer = make_lines()
    for _ in range(20_000):
        stream.write("x")
    lines.close()
    stream.write("y\n")

    stream.flush()
    assert buffer.getvalue() == b"x" * 20_000 + b"y\n"


def test_the_stream_is_as_before_after_the_end_and_in_a_forked_child() -> None:
    stream, lines, buffer = make_lines()
    with lines._lock:  # as a thread that prints while another one forks
        pid = os.fork()
        if pid == 0:
            print("child", file=stream, flush=True)
            os._exit(0 if buffer.getvalue() == b"child\n" else 1)
    assert os.waitpid(pid, 0)[1] == 0

    lines.close()
    assert "write" not in vars(stream)
    assert "flush" not in vars(stream)
    assert WholeLines.of(None) is None
    assert WholeLines.of(io.StringIO()) is None


def test_an_exception_of_a_signal_handler_at_any_moment_of_a_print_leaves_the_stream_free() -> None:
    moment, has_come = 0, True
    while has_come:
        moment += 1
        stream, lines, written = make_lines()
        has_come = raise_at(moment, partial(print, "flow", file=stream, flush=True))
        thread = threading.Thread(target=lines.write_lines, args=["work\n"], daemon=True)
        thread.start()
        thread.join(DEADLINE)
        assert not thread.is_alive(), f"the lock was kept at moment {moment}"
        assert b"work\n" in written.getvalue()

    assert moment > 10


def raise_at(moment: int, call: Callable[[], object]) -> bool:
    """Raise where Python would call a signal handler: when a function begins or ends, the first being 1.

    Only functions of the package count: the collector may call others, and what these raise is ignored.

    Returns:
        Whether `call` had so many of these moments.
    """
    left = moment

    def trace(frame: FrameType, event: str, _: object) -> object:
        nonlocal left
        is_counted = frame.f_globals["__name__"].startswith("lightning_lite.")
        left -= is_counted and event in ("call", "return")
        if left == 0:
            left = -1
            raise KeyboardInterrupt
        return trace

    sys.settrace(trace)
    try:
        call()
    except KeyboardInterrupt:
        return True
    finally:
        sys.settrace(None)
    return False
