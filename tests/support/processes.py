"""Waits for the end of processes, children of the test or not."""

from __future__ import annotations

import subprocess

import psutil

from lightning_lite.testing import poll_until

#: Seconds after which a test fails because a process hangs; not a measure of speed.
DEADLINE = 60.0


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Wait for the end of a child; return its exit code, its output and its error output."""
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


def is_gone(pid: int) -> bool:
    """Return whether a process has ended; a zombie has."""
    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return True


def wait_until_gone(*pids: int) -> None:
    """Wait until all these processes have ended, children of the test or not."""
    assert pids, "no process to wait for"
    poll_until(lambda: all(map(is_gone, pids)), timeout=DEADLINE)
