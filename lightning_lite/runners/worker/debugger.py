"""The debugger of `breakpoint()` in a work: Python's own, on the terminal of the app."""

from __future__ import annotations

import bdb
import pdb
import signal
import threading
from types import FrameType
from typing import Any

from lightning_lite.runners.worker.terminal import Borrower

_PACKAGE = "lightning_lite"


class Debugger(pdb.Pdb):
    """Asks on the terminal when it has been lent, and gives it back whenever the work goes on.

    It steps through the code of the user only: not into this package, nor out into what has called the work.

    Args:
        borrower: Has taken the terminal.
    """

    def __init__(self, borrower: Borrower) -> None:
        super().__init__(
            stdin=borrower.reader,
            stdout=borrower.writer,
            nosigint=True,  # Ctrl-C is the debugger's at the prompt only
        )
        self.prompt = f"(Pdb {borrower.work}) "
        self._borrower = borrower
        self._outermost: FrameType | None = None  # of the user's frames around the one that is debugged

    def debug(self, frame: FrameType, header: str | None) -> None:
        """Ask in `frame`, after showing `header` if there is one."""
        if header is not None:
            self.message(header)
        self._outermost = _outermost_of_user(frame)
        self.set_trace(frame)

    # All its output goes to the terminal, and the terminal is given back before anything else happens.

    def message(self, msg: str) -> None:
        """Show one line."""
        self._take()
        super().message(msg)

    def interaction(self, frame: FrameType | None, *trace: Any) -> None:
        """Ask until the work shall go on."""
        self._take()
        if frame is not None:
            self._outermost = _outermost_of_user(frame)
        super().interaction(frame, *trace)

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Hear from Python what the code does, and ask if that is of interest."""
        try:
            return super().trace_dispatch(frame, event, arg)
        except bdb.BdbQuit:
            raise bdb.BdbQuit("quit at the prompt of the debugger") from None
        finally:
            self._borrower.give_back(is_done=False)

    def cmdloop(self, intro: Any = None) -> None:
        """Ask for commands; Ctrl-C cuts one."""
        if threading.current_thread() is not threading.main_thread():
            super().cmdloop(intro)
            return
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            super().cmdloop(intro)
        finally:
            signal.signal(signal.SIGINT, previous)

    def stop_here(self, frame: FrameType) -> bool:
        """Return whether a step ends in `frame`: not in this package, nor in what it calls."""
        one: FrameType | None = frame
        while one is not None and one is not self._outermost:
            if _is_ours(one):
                return False
            one = one.f_back
        return super().stop_here(frame)

    # The end of a turn.

    def set_continue(self) -> None:
        """Go on, up to a breakpoint if there is any."""
        super().set_continue()
        self._borrower.give_back(is_done=True)

    def set_quit(self) -> None:
        """Go on with a failure."""
        super().set_quit()
        self._borrower.give_back(is_done=True)

    def dispatch_return(self, frame: FrameType, arg: Any) -> Any:
        """Ask before a function returns, if that is of interest; what follows the outermost one is not."""
        trace = super().dispatch_return(frame, arg)
        if frame is self._outermost:
            self._outermost = None
            self.set_continue()
        return trace

    def _take(self) -> None:
        self._borrower.take()
        self.stdin, self.stdout = self._borrower.reader, self._borrower.writer


def _outermost_of_user(frame: FrameType) -> FrameType:
    """Return the frame around `frame` that this package has called, or in which its thread has begun."""
    while (outer := frame.f_back) is not None and not _is_ours(outer):
        frame = outer
    return frame


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE
