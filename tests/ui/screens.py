"""A terminal whose screen can be read, and programs that run on it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pyte

#: Seconds after which a test says that something hangs; not a measure of speed.
DEADLINE = 60.0

PROJECT = str(Path(__file__).parents[2])

CTRL_C, CTRL_Q, CTRL_S, CTRL_Z = "\x03", "\x11", "\x13", "\x1a"


class Screen:
    """A pseudo-terminal, and what a person sees on it.

    Args:
        columns: Its width.
        lines: Its height.
    """

    def __init__(self, columns: int = 100, lines: int = 30) -> None:
        self.master, self.slave = pty.openpty()
        self._screen = pyte.HistoryScreen(columns, lines, history=100_000)
        self._stream = pyte.ByteStream(self._screen)
        self._programs: list[subprocess.Popen[bytes]] = []
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        for program in self._programs:
            program.send_signal(signal.SIGWINCH)

    @property
    def display(self) -> list[str]:
        """What is on the screen, without the empty lines at its end."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def lines(self) -> list[str]:
        """All that was shown: what has scrolled out at the top, and what is on the screen."""
        scrolled = [
            "".join(line[column].data for column in range(max(line, default=-1) + 1)).rstrip()
            for line in self._screen.history.top
        ]
        return [*scrolled, *self.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def cursor(self) -> tuple[int, int]:
        """Line and column of the cursor, from 0."""
        return self._screen.cursor.y, self._screen.cursor.x

    def take(self) -> None:
        """Take what has been written so far."""
        while select.select([self.master], [], [], 0)[0]:
            self._stream.feed(os.read(self.master, 65536))

    def until(self, condition: Callable[[], object]) -> None:
        """Take what is written until `condition` holds."""
        deadline = monotonic() + DEADLINE
        while not condition():
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - monotonic()))
            assert ready, "what was expected did not come, but\n" + self.text
            self._stream.feed(os.read(self.master, 65536))

    def until_seen(self, text: str) -> None:
        self.until(lambda: text in self.text)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def run(self, source: str, folder: Path, *, shell: str = "", **env: str) -> subprocess.Popen[bytes]:
        """Start a Python program in the foreground of this terminal.

        Args:
            source: The program.
            folder: Where it runs.
            shell: What starts `"$0" "$@"`, the program, if it is not started directly.
            env: Variables to add.
        """
        script = folder / "app.py"
        script.write_text(source)
        command = [sys.executable, str(script)]
        inherited = {name: value for name, value in os.environ.items() if name != "NO_COLOR"}
        program = subprocess.Popen(
            ["sh", "-c", shell, *command] if shell else command,
            stdin=self.slave, stdout=self.slave, stderr=self.slave, cwd=folder,
            env={**inherited, "PYTHONPATH": PROJECT, "TERM": "xterm-256color", **env},
            start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )  # fmt: skip
        self._programs.append(program)
        return program

    def end(self) -> int:
        """Wait for the end of the program that was started last; return its exit code."""
        program = self._programs[-1]
        deadline = monotonic() + DEADLINE
        while program.poll() is None:
            assert monotonic() < deadline, "the program did not end\n" + self.text
            if select.select([self.master], [], [], 0.05)[0]:
                self._stream.feed(os.read(self.master, 65536))
        self.take()
        return program.returncode

    def hang_up(self) -> None:
        """Close the window."""
        os.close(self.slave)
        os.close(self.master)

    def close(self) -> None:
        for program in self._programs:
            if program.poll() is None:
                os.killpg(program.pid, signal.SIGCONT)
                program.kill()
            program.wait()
        os.close(self.master)
        os.close(self.slave)
