"""`breakpoint()` in works that have processes of their own, on a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from time import monotonic

import psutil
import pytest
from bench import DEADLINE, poll_until
DEADLINE=8

PROJECT = str(Path(__file__).parents[2])

#: The beginning of each app; `END` runs one.
APP = """
import os, signal, subprocess, sys, threading
from lightning_lite import LightningApp, LightningFlow, LightningWork

class Work(LightningWork):
    def run(self, x):
        print('before')
        y = x + 1
        breakpoint()
        print('after', y)
        self.y = y

    def __init__(self, **options):
        super().__init__(raise_exception=False, **options)
        self.y = 0

class Flow(LightningFlow):
    def __init__(self):
        super().__init__()
        self.work = Work()

    def run(self):
        self.work.run(41)
        self.stop(f'{self.work.y} {self.work.status.message or "is the end"}')
"""
END = "\nLightningApp(Flow()).run(runner='processes')\n"


class Session:
    """An app on a terminal of its own, and who sits there."""

    def __init__(self, folder: Path, code: str, *, env: dict[str, str] | None = None) -> None:
        script = folder / "app.py"
        script.write_text(APP + code + END)
        self.seen = ""
        self.master, self.slave = pty.openpty()
        self.app = subprocess.Popen(
            [sys.executable, script],
            stdin=self.slave, stdout=self.slave, stderr=self.slave, cwd=folder,
            env={**os.environ, "PYTHONPATH": PROJECT, "NO_COLOR": "1", **(env or {})},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip

    def expect(self, pattern: str) -> re.Match[str]:
        """Wait until the terminal shows something that fits, behind all that was expected before."""
        deadline = monotonic() + DEADLINE
        while (found := re.search(pattern, self.seen)) is None:
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - monotonic()))
            assert ready, f"{pattern!r} did not come, but {self.seen!r}"
            self.seen += os.read(self.master, 65536).decode().replace("\r\n", "\n")
        self.seen = self.seen[found.end() :]
        return found

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def answer(self, text: str, prompt: str = r"\(Pdb root\.work\) ") -> None:
        """Wait for the prompt, type a line, and see its echo."""
        self.expect(prompt)
        self.type(f"{text}\n")
        self.expect(re.escape(f"{text}\n"))

    @property
    def work(self) -> int:
        """The process that has the terminal."""
        return os.tcgetpgrp(self.slave)

    def end(self) -> int:
        return self.app.wait(DEADLINE)

    def close(self) -> None:
        if self.app.poll() is None:
            self.app.kill()
            self.app.wait()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def sit_down(tmp_path: Path) -> Iterator[Callable[..., Session]]:
    sessions: list[Session] = []

    def sit_down(code: str = "", **options: object) -> Session:
        sessions.append(Session(tmp_path, code, **options))
        return sessions[-1]

    yield sit_down
    for session in sessions:
        session.close()


def test_a_work_asks_and_goes_on(sit_down):
    app = sit_down()
    app.expect(r"root\.work \| before\n> \S+app\.py\(\d+\)run\(\)\n")
    app.answer("p y")
    app.expect("42\n")
    app.answer("y = 7")
    app.answer("c")

    app.expect(r"^root\.work \| after 7\n7 is the end\n")
    assert app.end() == 0


def test_x(sit_down):
    app = sit_down()
    app.answer("n")
    app.expect(r"^root\.work \| after 42\n> .*\n-> self.y = y\n")
    app.answer("n")
    app.expect("--Return--\n")
    app.answer("n")
    app.expect("42 is the end\n")
    assert app.end() == 0


def test_q(sit_down):
    app = sit_down()
    app.answer("q")
    app.expect("0 BdbQuit: quit at the prompt of the debugger in root.work.run.41.\n")
    assert app.end() == 0
