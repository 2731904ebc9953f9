"""Starts and ends a program of this package that serves pages: it ends with this process, however that ends.

this process ── "end", or the end of the pipe, or of the process ──▶ programs/parent
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import IO, Any

#: The folder that has this package.
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def start_program(
    module: str,
    arguments: Sequence[str],
    output: int | IO[bytes],
    environ: Mapping[str, str] | None = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[Any]:
    """Start a module of this package as a program whose standard input is a pipe, and return at once.

    Args:
        module: Full name of the module.
        arguments: Its arguments.
        output: Where its output goes: a file, or `subprocess.PIPE`.
        environ: Environment variables to add.
        pass_fds: File descriptors that the program has under the same numbers.

    Raises:
        OSError: The system starts no process.
    """
    # Only the folder of this package, and not all of `sys.path`: next to a script may be a `secrets.py`.
    path = filter(None, (_HOME, os.environ.get("PYTHONPATH")))
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", "-m", module, *arguments],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(path), **(environ or {})},
        stdin=subprocess.PIPE,
        stdout=output,
        stderr=subprocess.STDOUT,
        pass_fds=pass_fds,
        start_new_session=True,  # Ctrl-C is for the app, which ends the program when it has ended
    )


def end_program(process: subprocess.Popen[Any], timeout: float) -> None:
    """Tell a program to end, and wait until it has ended; kill it if it does not end in time.

    Args:
        process: Its process.
        timeout: Seconds that it has.
    """
    assert process.stdin is not None
    with suppress(OSError):  # it has ended already
        # A word, because a process that the flow has forked may hold the pipe open.
        os.write(process.stdin.fileno(), b"end\n")
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeout)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
