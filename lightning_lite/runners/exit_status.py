"""Describes how a process ended: exit code, signal, known causes."""

from __future__ import annotations

import signal
from collections.abc import Iterator

from lightning_lite.runners.wire.work_signals import ENDED_BY_SIGTERM

OUT_OF_MEMORY = "the system has killed a process because memory ran out"


def count_out_of_memory_kills() -> int:
    """Return how many processes the kernel has killed for lack of memory; 0 if they are not counted.

    It counts the kills in our own control group if there is one, else the kills on the whole machine.
    """
    for path in _counters():
        try:
            with open(path, encoding="ascii") as file:
                for line in file:
                    name, _, number = line.partition(" ")
                    if name == "oom_kill":
                        return int(number)
        except OSError:
            continue
    return 0


def _counters() -> Iterator[str]:
    """Yield the files that may hold the counter, the file of the smallest group first."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            groups = [line.rstrip("\n").split(":", 2) for line in file]
    except OSError:
        groups = []
    for _, controllers, path in groups:
        if controllers == "":
            yield f"/sys/fs/cgroup{path}/memory.events"
        elif controllers == "memory":
            yield f"/sys/fs/cgroup/memory{path}/memory.oom_control"
    yield "/proc/vmstat"


def exit_code_of(end: SystemExit) -> int:
    """Return the exit code with which Python ends after `sys.exit`; 1 for a text, which Python prints.

    Example:
        >>> [exit_code_of(SystemExit(code)) for code in (None, 0, 3, "no data")]
        [0, 0, 3, 1]
    """
    if end.code is None:
        return 0
    return int(end.code) if isinstance(end.code, int) else 1


def describe_exit(exitcode: int | None) -> str:
    """Return how a process ended.

    Args:
        exitcode: As `subprocess` has it: negative for a signal, `None` if it is unknown.

    Example:
        >>> describe_exit(-9)
        'SIGKILL (signal 9)'
        >>> describe_exit(3)
        'exit code 3'
    """
    if exitcode is None:
        return "unknown exit code"
    if exitcode == ENDED_BY_SIGTERM:
        return f"exit code {exitcode}, after a SIGTERM from outside"
    if exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        return f"{signal.Signals(-exitcode).name} (signal {-exitcode})"
    except ValueError:
        return f"signal {-exitcode}"
