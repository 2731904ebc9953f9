"""Describes how a process ended: exit code, signal, known causes."""

from __future__ import annotations

import errno
import resource
import signal

from lightning_lite.runners.wire.signals import ENDED_BY_SIGTERM


def name_limit(error: BaseException) -> str:
    """Return what the system refuses, which limit that is, and what to do.

    Args:
        error: An `OSError`, or the `RuntimeError` of a thread that can't start.
    """
    number = error.errno if isinstance(error, OSError) else errno.EAGAIN
    if number == errno.EMFILE:
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        return f"too many open files: this process may have {soft}. Raise it with 'ulimit -n {hard}'."
    if number == errno.ENFILE:
        return "too many open files on this machine. Raise the limit with 'sysctl fs.file-max'."
    if number == errno.EAGAIN:
        soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
        limit = "as many as the container allows" if soft == resource.RLIM_INFINITY else str(soft)
        return f"too many processes and threads: this user may have {limit}. Raise it with 'ulimit -u'."
    if number == errno.ENOMEM:
        return "no memory is left for its process. Run fewer works, or look at 'ulimit -v' and the container."
    return str(error)


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
