"""What signals mean between an app and its works."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # signal itself makes enums, for 3 ms
import faulthandler
import sys

#: The signal on which a work writes its Python stacks, even while C code holds the interpreter lock. A
#: real-time signal where there are any, because users may use the others.
STACK_SIGNAL: int = signal.SIGRTMAX - 1 if sys.platform == "linux" else signal.SIGUSR2

#: The signal with which the app stops a work, which then sends SIGTERM to itself. SIGTERM from the app would
#: kill a work whose code has left the default action, as `asyncio.run` does with a handler of SIGTERM.
STOP_SIGNAL: int = signal.SIGRTMAX - 2 if sys.platform == "linux" else signal.SIGUSR1

#: The signals of the app, with which a work starts blocked: one that comes too early waits and does not kill
#: the process.
APP_SIGNALS = (STACK_SIGNAL, STOP_SIGNAL)

#: Exit code of a work that SIGTERM has ended in order, as a shell reports it.
ENDED_BY_SIGTERM = 128 + int(signal.SIGTERM)


def write_stacks_on_demand() -> None:
    """Let this process write the stacks of all its threads to its output when asked, and when it crashes."""
    faulthandler.enable(2)
    faulthandler.register(STACK_SIGNAL, file=2)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {STACK_SIGNAL})
