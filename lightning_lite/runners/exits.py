"""What the end of a process says, in words."""

from __future__ import annotations

import signal


def describe_exit(exitcode: int | None) -> str:
    """Return how a process ended.

    Args:
        exitcode: As `subprocess` has it: negative for a signal, `None` if nobody knows.

    Example:
        >>> describe_exit(-9)
        'SIGKILL (signal 9)'
        >>> describe_exit(3)
        'exit code 3'
    """
    if exitcode is None:
        return "unknown exit code"
    if exitcode >= 0:
        return f"exit code {exitcode}"
    try:
        return f"{signal.Signals(-exitcode).name} (signal {-exitcode})"
    except ValueError:
        return f"signal {-exitcode}"
