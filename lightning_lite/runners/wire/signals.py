"""What signals mean between an app and its works."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # signal itself makes enums, for 3 ms
import faulthandler
import sys

#: The signal on which a work writes its Python stacks, even while C code holds the interpreter lock. A
#: real-time signal where there are any, because users may use the others. A work starts with it blocked,
#: so that a signal that comes too early waits and does not kill the process.
STACK_SIGNAL: int = signal.SIGRTMAX - 1 if sys.platform == "linux" else signal.SIGUSR2


#: Exit code of a work that SIGTERM has ended in order, as a shell reports it. The app sends SIGTERM, too.
ENDED_BY_SIGTERM = 128 + int(signal.SIGTERM)


def write_stacks_on_demand() -> None:
    """Let this process write the stacks of all its threads to its output when asked, and when it crashes."""
    faulthandler.enable(2)
    faulthandler.register(STACK_SIGNAL, file=2)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STACK_SIGNAL})
