"""Runs scripts, and waits for the end of processes, children of the test or not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from lightning_lite.testing import poll_until

#: Seconds after which a test fails because a process hangs; not a measure of speed.
DEADLINE = 100.0

Start = Callable[..., "subprocess.Popen[str]"]


def run_script(
    script: str | Path, *arguments: object, timeout: float | None = DEADLINE, **options: Any
) -> str:
    """Run a Python script as a user does, without input, and return its output.

    Args:
        script: Path of the script.
        arguments: Its arguments.
        timeout: Seconds after which it hangs.
        options: Options of `subprocess.run`, such as `cwd` and `env`.
    """
    done = run_python(script, *arguments, timeout=timeout, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout


def run_python(
    *arguments: object, timeout: float | None = DEADLINE, **options: Any
) -> subprocess.CompletedProcess[str]:
    """Run Python as a user does, without input, and return the ended process with its output.

    Args:
        arguments: Its arguments.
        timeout: Seconds after which it hangs.
        options: Options of `subprocess.run`, such as `cwd` and `env`.
    """
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
        **options,
    )


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    """Suspend a process: it has stopped when the block begins, and continues at its end."""
    os.kill(pid, signal.SIGSTOP)
    try:
        poll_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED, DEADLINE)
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def run_verb(*words: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """Call a verb of the command line in a process of its own; the options are those of `run_python`."""
    return run_python("-m", "lightning_lite", *words, **options)


@contextmanager
def starting() -> Iterator[Start]:
    """Yield a function that starts Python as a user does, with pipes; kill each process at the end.

    It has the arguments of Python, and options of `subprocess.Popen` such as `cwd` and `env`.
    """
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        command = [sys.executable, *map(str, arguments)]
        process: subprocess.Popen[str] = subprocess.Popen(command, text=True, **streams | options)
        started.append(process)
        return process

    try:
        yield start
    finally:
        for process in started:
            process.kill()
            process.communicate()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a child; return its exit code, its output and its error output."""
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; true for a zombie."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(*pids: int) -> None:
    """Wait until all these processes have ended, children of the test or not."""
    assert pids, "no process to wait for"
    poll_until(lambda: all(map(is_gone, pids)), timeout=DEADLINE)
