"""The signal on which a work writes its Python stacks, even while C code holds the interpreter lock."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # signal itself makes enums, for 3 ms
import faulthandler
import sys

#: A real-time signal where there are any, because users may use the others. A work starts with it blocked,
#: so that a signal that comes too early waits and does not kill the process.
STACK_SIGNAL: int = signal.SIGRTMAX - 1 if sys.platform == "linux" else signal.SIGUSR2


def write_stacks_on_demand() -> None:
    """Let this process write the stacks of all its threads to its output when asked, and when it crashes."""
    faulthandler.enable(2)
    faulthandler.register(STACK_SIGNAL, file=2)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STACK_SIGNAL})
