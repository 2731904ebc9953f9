"""Lends the terminal to one work at a time, for its debugger; the work's side.

breakpoint() ─▶ Borrower.break_here ─▶ debugger.Debugger     loaded on first use
                    │ take, give_back       │ prompts
                    ▼                       ▼
                lending.Lender          /dev/tty
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock, get_ident
from contextlib import suppress

from lightning_lite.errors import RunnerError
from lightning_lite.light_typing import TYPE_CHECKING
from lightning_lite.runners.wire.terminal_messages import TerminalLent, TerminalReturned, TerminalWanted

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TextIO

_TERMINAL = "/dev/tty"


class Borrower:
    """Borrows the terminal from the main process, for one thread at a time.

    Args:
        work: Name of the work.
        send: Sends a message to the runner.
        debugger: Name of the module of the debugger, imported at the first breakpoint.

    Attributes:
        reader: Input of the terminal; only while the terminal is taken.
        writer: Output of the terminal; only while it is taken.
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
        self._answer: TerminalLent | None = None
        self._answered = allocate_lock()  # released by each answer
        self._answered.acquire()

    def serve_breakpoints(self) -> None:
        """Let `breakpoint()` ask on the terminal, unless PYTHONBREAKPOINT says something else."""
        if os.environ.get("PYTHONBREAKPOINT", "") in ("", "pdb.set_trace"):
            sys.breakpointhook = self.break_here

    def break_here(self, *, header: str | None = None) -> None:
        """Debug the code that calls `breakpoint()`; see `pdb.set_trace`.

        Raises:
            RunnerError: There is no user to ask.
        """
        __import__(self._debugger)  # only now: `pdb` takes longer to import than a work to start
        self.take()
        sys.modules[self._debugger].Debugger(self).debug(sys._getframe(1), header)

    def take(self) -> None:
        """Return when this thread has the terminal.

        Raises:
            RunnerError: There is no terminal, or no user at it.
        """
        if self._owner == get_ident():
            return
        if os.getpid() != self._pid:
            raise RunnerError(
                f"breakpoint() in a process that {self.work} has forked can't ask on the terminal. "
                "Debug what it does in the work itself."
            )
        with suppress(AttributeError, OSError, ValueError):  # the user has closed or replaced it
            sys.stdout.flush()
        self._free.acquire()
        try:
            self._ask()
            self.reader = open(_TERMINAL, encoding="utf-8", errors="replace")  # noqa: SIM115 - `give_back` closes it
            self.writer = open(_TERMINAL, "w", encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
        except BaseException:
            try:
                self._send(TerminalReturned(self.work, is_done=True))
            finally:
                self._free.release()
            raise
        self._owner = get_ident()

    def give_back(self, *, is_done: bool) -> None:
        """Give the terminal back, if this thread has it.

        Args:
            is_done: Whether it is the turn of others now.
        """
        if self._owner == get_ident():
            self._owner = None
            self.reader.close()
            self.writer.close()
            self._send(TerminalReturned(self.work, is_done))
            self._free.release()
        elif is_done and self._free.acquire(blocking=False):  # else another thread has it
            self._send(TerminalReturned(self.work, is_done))
            self._free.release()

    def hear(self, message: TerminalLent) -> None:
        """Take the answer of the runner; called in the helper thread."""
        self._answer = message
        if self._answered.locked():
            self._answered.release()

    def _ask(self) -> None:
        self._number += 1
        self._send(TerminalWanted(self.work, self._number))
        # An answer may come late, when a stop has cut the waiting for it: then it is not ours.
        while self._answer is None or self._answer.number != self._number:
            self._answered.acquire()
        if self._answer.refusal:
            raise RunnerError(
                f"breakpoint() in {self.work} has no terminal to ask on: {self._answer.refusal}. Run the app "
                "in the foreground of a terminal, or set PYTHONBREAKPOINT=0 to pass over breakpoints."
            )
