"""Gets the terminal from the main process for the debugger of a work; the side of the work.

breakpoint() ─▶ TerminalClient.break_here ─▶ debugger.Debugger     loaded on first use
                    │ acquire, release          │ prompts
                    ▼                           ▼
                TerminalAccess              /dev/tty
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, get_ident  # threading would cost each work 1 ms

from lightning_lite.errors import RunnerError
from lightning_lite.late_import import late_import
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.runners.wire.terminal_messages import TerminalGranted, TerminalReleased, TerminalRequested

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

_TERMINAL = "/dev/tty"


class TerminalClient:
    """Gets the terminal from the main process, for one thread at a time.

    Args:
        work: Name of the work.
        send: Sends a message to the runner.
        debugger: Name of the module of the debugger, imported at the first breakpoint.

    Attributes:
        reader: Input of the terminal; only between `acquire` and `release`.
        writer: Output of the terminal; only between `acquire` and `release`.
    """

    def __init__(self, work: str, send: Callable[[Any], None], debugger: str) -> None:
        self.work = work
        self._debugger = debugger
        self.reader: TextIO
        self.writer: TextIO
        self._send = send
        self._pid = os.getpid()
        self._free = allocate_lock()
        self._owner: int | None = None  # the thread that has the terminal
        self._number = 0
        self._answer: TerminalGranted | None = None
        self._answered = allocate_lock()  # released by each answer
        self._answered.acquire()

    def serve_breakpoints(self) -> None:
        """Make `breakpoint()` prompt on the terminal, unless PYTHONBREAKPOINT is set to something else."""
        if os.environ.get("PYTHONBREAKPOINT", "") in ("", "pdb.set_trace"):
            sys.breakpointhook = self.break_here

    def break_here(self, *, header: str | None = None) -> None:
        """Debug the code that calls `breakpoint()`; see `pdb.set_trace`.

        Raises:
            RunnerError: There is no user to ask.
        """
        debugger = late_import(self._debugger)  # only now: `pdb` takes longer to import than a work to start
        self.acquire()
        debugger.Debugger(self).debug(sys._getframe(1), header)

    def acquire(self) -> None:
        """Wait until this thread has the terminal.

        Raises:
            RunnerError: There is no terminal, or no user at it.
        """
        if self._owner == get_ident():
            return
        if os.getpid() != self._pid:
            raise RunnerError(
                f"breakpoint() in a process that {self.work} has forked can't ask on the terminal. "
                "Debug it in the work itself."
            )
        try:
            sys.stdout.flush()
        except (AttributeError, OSError, ValueError):  # the user has closed or replaced it
            pass
        self._free.acquire()
        try:
            self._ask()
            self.reader = open(_TERMINAL, encoding="utf-8", errors="replace")  # noqa: SIM115 - `release` closes it
            self.writer = open(_TERMINAL, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        except BaseException:
            try:
                self._send(TerminalReleased(self.work, is_done=True))
            finally:
                self._free.release()
            raise
        self._owner = get_ident()

    def release(self, *, is_done: bool) -> None:
        """Release the terminal, if this thread has it.

        Args:
            is_done: Whether other works may get it now.
        """
        if self._owner == get_ident():
            self._owner = None
            self.reader.close()
            self.writer.close()
            self._send(TerminalReleased(self.work, is_done))
            self._free.release()
        elif is_done and self._free.acquire(blocking=False):  # else another thread has it
            self._send(TerminalReleased(self.work, is_done))
            self._free.release()

    def on_granted(self, message: TerminalGranted) -> None:
        """Handle the answer of the runner; called in the helper thread."""
        self._answer = message
        if self._answered.locked():
            self._answered.release()

    def _ask(self) -> None:
        self._number += 1
        self._send(TerminalRequested(self.work, self._number))
        # If a stop has interrupted an earlier request, its answer may come now: it has another number.
        while self._answer is None or self._answer.number != self._number:
            self._answered.acquire()
        if self._answer.refusal:
            raise RunnerError(
                f"breakpoint() in {self.work} has no terminal to ask on: {self._answer.refusal}. Run the app "
                "in the foreground of a terminal, or set PYTHONBREAKPOINT=0 to pass over breakpoints."
            )
