"""The debugger of `breakpoint()` in a work: Python's own, on the terminal of the app."""

from __future__ import annotations

import bdb
import pdb
import signal
import threading
from types import FrameType
from typing import Any

from lightning_lite.runners.worker.terminal_access import TerminalClient

_PACKAGE = "lightning_lite"


class Debugger(pdb.Pdb):
    """Prompts on the terminal of the app, and releases it whenever the work continues.

    It steps only through the code of the user: not into this package, and not into the callers of the work.

    Args:
        terminal: Has acquired the terminal.
    """

    def __init__(self, terminal: TerminalClient) -> None:
        super().__init__(
            stdin=terminal.reader,
            stdout=terminal.writer,
            nosigint=True,  # `cmdloop` handles Ctrl-C, only at the prompt
        )
        self.prompt = f"(Pdb {terminal.work}) "
        self._terminal = terminal
        self._outermost: FrameType | None = None  # the outermost frame of the user around the debugged one

    def debug(self, frame: FrameType, header: str | None) -> None:
        """Prompt in `frame`, after printing `header` if there is one."""
        if header is not None:
            self.message(header)
        self._outermost = _outermost_of_user(frame)
        self.set_trace(frame)

    # All its output goes to the terminal, which is released before the work continues.

    def message(self, msg: str) -> None:
        """Print one line."""
        self._acquire()
        super().message(msg)

    def interaction(self, frame: FrameType | None, *trace: Any) -> None:
        """Prompt until the user continues the work."""
        self._acquire()
        if frame is not None:
            self._outermost = _outermost_of_user(frame)
        super().interaction(frame, *trace)

    def trace_dispatch(self, frame: FrameType, event: str, arg: Any) -> Any:
        """Handle a trace event of Python, and prompt if the debugger is to stop there."""
        try:
            return super().trace_dispatch(frame, event, arg)
        except bdb.BdbQuit:
            raise bdb.BdbQuit("quit at the prompt of the debugger") from None
        finally:
            self._terminal.release(is_done=False)

    def cmdloop(self, intro: Any = None) -> None:
        """Read commands; Ctrl-C interrupts one."""
        if threading.current_thread() is not threading.main_thread():
            super().cmdloop(intro)
            return
        previous = signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            super().cmdloop(intro)
        finally:
            signal.signal(signal.SIGINT, previous)

    def stop_here(self, frame: FrameType) -> bool:
        """Return whether a step ends in `frame`: not in this package, nor in code that it calls."""
        one: FrameType | None = frame
        while one is not None and one is not self._outermost:
            if _is_ours(one):
                return False
            one = one.f_back
        return super().stop_here(frame)

    # The end of a prompt.

    def set_continue(self) -> None:
        """Continue, up to the next breakpoint if there is one."""
        super().set_continue()
        self._terminal.release(is_done=True)

    def set_quit(self) -> None:
        """End the call with a failure."""
        super().set_quit()
        self._terminal.release(is_done=True)

    def dispatch_return(self, frame: FrameType, arg: Any) -> Any:
        """Prompt before a function returns, if the debugger stops there; continue after the outermost one."""
        trace = super().dispatch_return(frame, arg)
        if frame is self._outermost:
            self._outermost = None
            self.set_continue()
        return trace

    def _acquire(self) -> None:
        self._terminal.acquire()
        self.stdin, self.stdout = self._terminal.reader, self._terminal.writer


def _outermost_of_user(frame: FrameType) -> FrameType:
    """Return the frame around `frame` that this package has called, or with which its thread has started."""
    while (outer := frame.f_back) is not None and not _is_ours(outer):
        frame = outer
    return frame


def _is_ours(frame: FrameType) -> bool:
    return str(frame.f_globals.get("__name__")).partition(".")[0] == _PACKAGE
