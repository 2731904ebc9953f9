"""Handles the signals of the terminal and of the system: Ctrl-C, Ctrl-Z, SIGTERM, SIGHUP.

Ctrl-C, SIGTERM and SIGHUP (the terminal was closed) shut the app down: they raise `KeyboardInterrupt` or
`SystemExit` in the flow, for exit codes 130, 143 and 129. A second one during the shutdown kills all works
at once. Ctrl-Z stops all works, then the app; `fg` continues them. With a runner that can't stop works, it
has no effect.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable
from time import monotonic
from types import FrameType, TracebackType
from typing import Any, Self

from lightning_lite.runners.base import Runner
from lightning_lite.runners.wire.work_signals import SignalHold, register_at_fork

#: The signals that shut an app down.
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class EndingSignals:
    """Handles the signals for the `with` block, in the main thread; in other threads it does nothing.

    The handling of a signal that is ignored (`nohup`) or handled by the user's code is not changed.

    Args:
        runner: The runner of the app.
        on_resume: Called with the seconds that the app was suspended, so that time limits can be moved.
        on_suspend: Called before the app is suspended, in the signal handler.
        on_refused: Called in the signal handler in place of a suspension if the runner can't suspend works.

    Attributes:
        error: The exception of the first signal, or `None`. A plain attribute, because the app reads it after
            each turn.
    """

    def __init__(
        self,
        runner: Runner,
        on_resume: Callable[[float], None] | None = None,
        on_suspend: Callable[[], None] | None = None,
        on_refused: Callable[[], None] | None = None,
    ) -> None:
        self._runner = runner
        self._on_refused = on_refused
        self._on_resume = on_resume
        self._on_suspend = on_suspend
        self._previous: dict[int, Any] = {}
        self.error: BaseException | None = None
        self._late: BaseException | None = None

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for signum in ENDING:
                self._handle(signum, self._end)
            _entered.append(self)
            can_suspend = self._runner.can_suspend
            self._handle(signal.SIGTSTP, self._suspend if can_suspend else self._refuse)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self in _entered:
            _entered.remove(self)
        self._restore()
        if self._late is not None and error is None:
            raise self._late

    def has_caused(self, error: BaseException) -> bool:
        """Return whether `error` was caused by the exception of a signal.

        While a value is pickled, that exception is taken for an error of pickling, and becomes its cause.
        """
        cause: BaseException | None = error
        while cause is not None and cause is not self.error:
            cause = cause.__cause__
        return cause is not None

    def check(self) -> None:
        """Raise the exception of a signal again, if other code has suppressed it.

        A bare `except:` of the flow does that, and so does Python in a finaliser.
        """
        if self.error is not None:
            raise self.error

    def end_from_outside(self) -> bool:
        """Act like SIGTERM, from any thread; return `False` if SIGTERM is not handled here."""
        if signal.SIGTERM not in self._previous:
            return False
        if self.error is not None:
            return True  # the shutdown is under way; a second signal would kill the works
        # To the main thread, so that it also interrupts a system call there.
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        return True

    def _restore(self) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)
        self._previous.clear()

    def _handle(self, signum: int, handler: Callable[[int, FrameType | None], None]) -> None:
        if signal.getsignal(signum) in (signal.SIG_DFL, signal.default_int_handler):
            self._previous[signum] = signal.signal(signum, handler)

    def _end(self, signum: int, frame: FrameType | None) -> None:
        error = KeyboardInterrupt() if signum == signal.SIGINT else SystemExit(128 + signum)
        if not self._runner.is_ending:
            self.error = error
            self._runner.wake()
            if not _is_forking:  # `check` raises it later
                self._runner.interrupt(error)
        elif self.error is None:
            self.error = self._late = error  # the app already ends for another reason
        else:
            self._runner.kill_all()

    def _refuse(self, signum: int, frame: FrameType | None) -> None:
        if self._on_refused is not None:
            self._on_refused()

    def _suspend(self, signum: int, frame: FrameType | None) -> None:
        begun = monotonic()
        self._runner.suspend()
        if self._on_suspend is not None:
            self._on_suspend()
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        try:
            signal.raise_signal(signal.SIGTSTP)
            # Here the whole process is stopped, until `fg` or `bg`.
        finally:
            # Also if the signal that continued it ends it: stopped works could not run `on_exit`.
            signal.signal(signal.SIGTSTP, self._suspend)
            seconds = monotonic() - begun
            self._runner.resume(seconds)
            if self._on_resume is not None:
                self._on_resume(seconds)


#: The objects of this class whose `with` block runs now, the innermost last.
_entered: list[EndingSignals] = []

_signal_hold = SignalHold(ENDING)

#: Whether the main thread is in one of the functions below, whose exceptions Python ignores.
_is_forking = False


def _before_fork() -> None:
    global _is_forking
    if threading.current_thread() is threading.main_thread():
        _is_forking = True
    _signal_hold.hold()


def _after_fork_in_parent() -> None:
    global _is_forking
    _signal_hold.release()
    if threading.current_thread() is threading.main_thread():
        _is_forking = False


def _after_fork_in_child() -> None:
    """Restore in the child the handlers from before the app: a signal to the child is not for the app."""
    global _is_forking
    while _entered:
        _entered.pop()._restore()
    _signal_hold.release()
    _is_forking = False


if hasattr(os, "register_at_fork"):
    register_at_fork(_before_fork, _after_fork_in_parent, _after_fork_in_child)
