"""Finds and kills processes by a mark in their environment: those that have left the process group of a work.

A process inherits the environment of the process that starts it, also with `start_new_session=True`. Its
first environment can be read in /proc. There, a work that the fork server has forked replaces the mark of
the server by its own. Without /proc, and for a process that was started with another environment, nothing is
found.

The guardian imports this module by its name alone, so it knows the standard library only.
"""

from __future__ import annotations

import os
from time import monotonic

#: The variable. Its value is the mark: `<token of the app>.<number of the work>`.
VARIABLE = "LIGHTNING_LITE_MARK"

_KILL = 9

#: Seconds that a search waits for a process in the middle of `execve` to have an environment.
_EXECVE_TIMEOUT = 0.2


def mark_of(app: str, work: int) -> str:
    """Return the mark of the processes of a work; all marks have the same length.

    Args:
        app: Token of the app.
        work: Number of the work; 0 for the fork server.
    """
    return f"{app}.{work:010d}"


def kill_marked(app: str, works: set[int] | None) -> None:
    """Kill all processes with a mark of an app, also those that are forked while this runs.

    Args:
        app: Token of the app.
        works: Numbers of the works whose processes are killed; all works of the app if `None`.
    """
    killed: set[int] = set()
    while new := set(_find(app, works)) - killed:
        for pid in new:
            _kill_if_marked(pid, app, works)
        killed |= new


def _find(app: str, works: set[int] | None) -> list[int]:
    try:
        names = os.listdir("/proc")
    except OSError:
        return []
    pids = [int(name) for name in names if name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _is_marked(pid, app, works)]


def _kill_if_marked(pid: int, app: str, works: set[int] | None) -> None:
    """Kill a process, but none that has got its id since."""
    import signal  # noqa: PLC0415 - the guardian rarely needs it

    try:
        fd = os.pidfd_open(pid)
    except (AttributeError, OSError):
        return  # it is gone; before Linux 5.3 it can't be killed safely
    try:
        if _is_marked(pid, app, works):
            signal.pidfd_send_signal(fd, _KILL)
    except OSError:
        pass  # it is gone, or belongs to another user
    finally:
        os.close(fd)


def _is_marked(pid: int, app: str, works: set[int] | None) -> bool:
    try:
        environment = b"\0" + read_environment(pid)
    except OSError:
        return False  # it is gone, or belongs to another user
    _, found, rest = environment.partition(f"\0{VARIABLE}={app}.".encode())
    number = rest.partition(b"\0")[0]
    return bool(found) and (works is None or (number.isdigit() and int(number) in works))


def read_environment(pid: int, timeout: float = _EXECVE_TIMEOUT) -> bytes:
    """Return the first environment of a process.

    In the middle of `execve`, the kernel shows neither environment nor arguments: then it is asked again.

    Args:
        pid: Id of the process.
        timeout: Seconds after which it is not asked any more.

    Raises:
        OSError: The process is gone, is a zombie or a thread of the kernel, or belongs to another user.
    """
    until = monotonic() + timeout
    while True:
        environment = _read(pid, "environ")
        if environment or monotonic() > until:
            return environment
        os.readlink(f"/proc/{pid}/exe")  # a thread of the kernel has none
        if _read(pid, "cmdline"):
            return environment  # it was started with an empty one
        os.sched_yield()


def _read(pid: int, name: str) -> bytes:
    with open(f"/proc/{pid}/{name}", "rb") as file:
        return file.read()
