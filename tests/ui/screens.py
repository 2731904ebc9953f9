"""A pseudo-terminal whose screen can be read, and programs that run on it."""

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

#: Seconds after which a test fails because something hangs; not a measurement.
DEADLINE = 60.0

PROJECT = str(Path(__file__).parents[2])

CTRL_C, CTRL_Q, CTRL_S, CTRL_Z = "\x03", "\x11", "\x13", "\x1a"


class Screen:
    """A pseudo-terminal, and the text on its screen.

    Args:
        columns: Width in characters.
        lines: Height in lines.
    """

    def __init__(self, columns: int = 100, lines: int = 30) -> None:
        self.master, self.slave = pty.openpty()
        self._screen = pyte.HistoryScreen(columns, lines, history=100_000)
        self._stream = pyte.ByteStream(self._screen)
        self._programs: list[subprocess.Popen[bytes]] = []
        self._num_marks = 0
        self.resize(columns, lines)

    def resize(self, columns: int, lines: int) -> None:
        self._screen.resize(lines, columns)
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        for program in self._programs:
            program.send_signal(signal.SIGWINCH)

    @property
    def display(self) -> list[str]:
        """The lines on the screen, without the empty ones at the end."""
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines

    @property
    def lines(self) -> list[str]:
        """All lines so far: those that scrolled out at the top, and those on the screen."""
        scrolled = [
            "".join(line[column].data for column in range(max(line, default=-1) + 1)).rstrip()
            for line in self._screen.history.top
        ]
        return [*scrolled, *self.display]

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def colours(self) -> set[str]:
        """The colours of the letters on the screen, without the usual one."""
        letters = (letter for line in self._screen.buffer.values() for letter in line.values())
        return {letter.fg for letter in letters} - {"default"}

    @property
    def cursor(self) -> tuple[int, int]:
        """Line and column of the cursor, from 0."""
        return self._screen.cursor.y, self._screen.cursor.x

    def read_written(self) -> None:
        """Read all that was written so far.

        The kernel delivers output to the master side in the background, so "nothing to read" does not mean
        that all has arrived. The title that is written here arrives after all earlier output.
        """
        self._num_marks += 1
        mark = f"mark {self._num_marks}"
        os.write(self.slave, f"\x1b]2;{mark}\x07".encode())
        self.until(lambda: self._screen.title == mark)

    def until(self, condition: Callable[[], object]) -> None:
        """Read until `condition` is true."""
        deadline = monotonic() + DEADLINE
        while not condition():
            ready, _, _ = select.select([self.master], [], [], max(0.0, deadline - monotonic()))
            assert ready, "the expected output did not come; the terminal shows\n" + self.text
            self._stream.feed(os.read(self.master, 65536))

    def until_seen(self, text: str) -> None:
        self.until(lambda: text in self.text)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def run(self, source: str, folder: Path, *, shell: str = "", **env: str) -> subprocess.Popen[bytes]:
        """Start a Python program in the foreground of this terminal.

        Args:
            source: The source of the program.
            folder: Its working directory.
            shell: A shell script that starts the program as `"$0" "$@"`; "" to start it directly.
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
        """Wait until the last program has ended, and return its exit code."""
        program = self._programs[-1]
        deadline = monotonic() + DEADLINE
        while program.poll() is None:
            assert monotonic() < deadline, "the program did not end\n" + self.text
            if select.select([self.master], [], [], 0.05)[0]:
                self._stream.feed(os.read(self.master, 65536))
        self.read_written()
        return program.returncode

    def hang_up(self) -> None:
        """Close the terminal while the program runs."""
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
