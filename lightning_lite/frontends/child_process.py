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

from lightning_lite import timeouts
from lightning_lite.runners.processes.spawn import finder_modules, search_path

#: The folder that has this package.
_HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def page_settings(host: str, port: int, path: str, flow: str, run: str, **more: Any) -> dict[str, Any]:
    """Return the settings of a program that serves a page, as data that JSON can represent.

    Args:
        host: Address to bind.
        port: Port to bind.
        path: Path of the page.
        flow: Full name of the flow or the work that shows the page.
        run: Absolute path of the folder of the run; "" without one.
        **more: Settings that only this program has.
    """
    return {
        **more,
        "host": host,
        "port": port,
        "path": path,
        "flow": flow,
        "run": run,
        "sys_path": search_path(),
        "argv": list(map(str, sys.argv)),
        "imports": finder_modules(),
    }


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


def end_program(process: subprocess.Popen[Any]) -> None:
    """Ask a program to end, wait until it has ended, and kill it after `timeouts.PROGRAM_STOP_TIMEOUT`.

    Args:
        process: Its process.
    """
    assert process.stdin is not None
    with suppress(OSError):  # it has ended already
        # A word, because a process that the flow has forked may hold the pipe open.
        os.write(process.stdin.fileno(), b"end\n")
    with suppress(OSError):
        process.stdin.close()
    try:
        process.wait(timeouts.PROGRAM_STOP_TIMEOUT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
