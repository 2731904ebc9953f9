"""Programs whose output is a terminal."""

from __future__ import annotations

import os
import pty
import subprocess
from collections.abc import Callable


def output_on_terminal(start: Callable[[int], subprocess.Popen[bytes]]) -> str:
    """Return the output of a program on a terminal; assert that its exit code is 0.

    Args:
        start: Starts the program; its argument is the file descriptor for the standard output.
    """
    master, slave = pty.openpty()
    try:
        with start(slave) as program:
            os.close(slave)
            text = read_all(master)
        assert program.returncode == 0
    finally:
        os.close(master)
    return text.replace("\r\n", "\n")


def read_all(fd: int) -> str:
    """Read from the master end of a terminal until no process has the other end open."""
    parts: list[bytes] = []
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:  # EIO: no process has the other end of the terminal open
            part = b""
        if not part:
            return b"".join(parts).decode()
        parts.append(part)
