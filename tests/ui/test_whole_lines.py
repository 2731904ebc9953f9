"""Lines of the flow and of works stay whole when they go to the same pipe or file."""

import io
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from lightning_lite.ui.whole_lines import WholeLines

APP = """
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def __init__(self):
        super().__init__(parallel=True)
        self.n = 0

    def run(self):
        for i in range(1500):
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
    assert by_work == [f"root.work | work {i}" for i in range(1500)]
    by_flow = [line for line in lines if not line.startswith("root.work | ")]
    assert by_flow == [f"flow line {i % 20} end" for i in range(len(by_flow))], by_flow[:50]


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
