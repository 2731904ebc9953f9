"""The debugger of `breakpoint()` in a work's process: Python's own, at a terminal that belongs to others."""

from __future__ import annotations

import bdb
import pdb
import signal
import threading
from types import FrameType
from typing import Any

from lightning_lite.runners.borrowing import Borrower

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
            skip=[_PACKAGE, f"{_PACKAGE}.*"],
            nosigint=True,  # Ctrl-C is the debugger's at the prompt only
        )
        self.prompt = f"(Pdb {borrower.work}) "
        self._borrower = borrower
        self._outermost: FrameType | None = None

    # Whatever it says, it says on the terminal; whatever comes next, the terminal is given back before.

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
    """Return the frame of the user's that this package has called: of the frames around `frame`, the last."""
    frames: list[FrameType] = []
    outer: FrameType | None = frame
    while outer is not None:
        frames.append(outer)
        outer = outer.f_back
    ours = [i for i, one in enumerate(frames) if _is_child(one)]
    if not ours:
        return frames[-1]  # a thread that the work has started
    outermost = ours[0]
    while outermost > 0 and _is_ours(frames[outermost - 1]):
        outermost -= 1
    return frames[max(0, outermost - 1)]


def _is_child(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") == f"{_PACKAGE}.runners.child"


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE
