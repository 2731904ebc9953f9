"""The signals between an app and its works."""

from __future__ import annotations

import _signal as signal  # type: ignore[import-not-found] # signal itself makes enums, for 3 ms
import faulthandler
import os
import sys
from _thread import get_ident  # threading would cost each child 6 ms

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

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


class SignalHold:
    """Holds signals while this process forks, so that the child gets each one that is sent to it.

    A new child has the handlers of its parent, and Python forgets the signals that come before it can call
    them (`PyOS_AfterFork_Child` in CPython). A SIGTERM to a child that has just been forked would be lost,
    and `multiprocessing.Pool` would wait for that child without end. A signal that is held comes after
    `release`, with the action that the child has set by then.

    Args:
        signals: Numbers of the signals.
    """

    def __init__(self, signals: Iterable[int]) -> None:
        self._signals = frozenset(signals)
        self._masks: dict[int, Iterable[int]] = {}

    def hold(self) -> None:
        """Hold the signals of this thread; for `before` of `os.register_at_fork`."""
        # The mask is stored first: a handler that raises may cut this function between two lines.
        # A second call keeps the first mask.
        self._masks.setdefault(get_ident(), signal.pthread_sigmask(signal.SIG_BLOCK, ()))
        signal.pthread_sigmask(signal.SIG_BLOCK, self._signals)

    def release(self) -> None:
        """Let the signals of this thread come, in the parent and in the child; callable more than once."""
        mask = self._masks.get(get_ident())
        if mask is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            self._masks.pop(get_ident(), None)


def register_at_fork(
    before: Callable[[], None], after_in_parent: Callable[[], None], after_in_child: Callable[[], None]
) -> None:
    """Do the same as `os.register_at_fork`, but let `after_in_parent` be called twice after each fork.

    A handler of the user that raises, such as one of SIGALRM, may cut the first call at its first line.

    Args:
        before: As there.
        after_in_parent: As there; its second call must be without effect if the first one was complete.
        after_in_child: As there.
    """
    os.register_at_fork(before=before, after_in_parent=after_in_parent, after_in_child=after_in_child)
    os.register_at_fork(after_in_parent=after_in_parent)
