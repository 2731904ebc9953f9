"""Lends the terminal to one work at a time, for its debugger; the main process's side.

    TerminalWanted ─▶ its turn comes ─▶ its output is shown, the display holds,
                                        its process group is the foreground one ─▶ TerminalLent
    TerminalReturned, or its death ───▶ all that is put back; the next one's turn comes

A work that steps gives the terminal back after each prompt and keeps its turn.
"""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from lightning_lite.runners.output.pump import Display, OutputPump
from lightning_lite.runners.processes.process import WorkProcess
from lightning_lite.runners.wire.terminal_messages import TerminalLent, TerminalReturned, TerminalWanted

#: The terminal from which the app reads: on another one no user may answer.
_STDIN = 0

# Indices in what `tcgetattr` returns.
_LOCAL_FLAGS, _CONTROL_CHARACTERS = 3, 6


class Lender:
    """Lends the terminal to works, in the order in which they ask.

    Args:
        output: Shows what a work has printed before it asks.
        display: Shows nothing while the terminal is lent.
        send: Carries a letter to the process of a work.
    """

    def __init__(
        self,
        output: OutputPump,
        display: Display | None,
        send: Callable[[WorkProcess, TerminalLent], None],
    ) -> None:
        self._output = output
        self._display = display
        self._send = send
        # In the order of turns; the number of the request to answer, or `None` if there is none.
        self.turns: dict[WorkProcess, int | None] = {}
        self._loan: _Loan | None = None

    def hear(self, process: WorkProcess, message: TerminalWanted | TerminalReturned) -> None:
        """Take what a work says about the terminal."""
        if isinstance(message, TerminalWanted):
            self.turns[process] = message.number
            self._serve()
        elif message.is_done:
            self.forget(process)
        elif self._is_lent_to(process):
            self._take_back()

    def end_call(self, process: WorkProcess) -> None:
        """Let it be the turn of others, unless another thread of the work asks right now."""
        if process in self.turns and not self._is_lent_to(process) and self.turns[process] is None:
            self.forget(process)

    def forget(self, process: WorkProcess) -> None:
        """Let it be the turn of others."""
        if self._is_lent_to(process):
            self._take_back()
        if process in self.turns:
            del self.turns[process]
            self._serve()

    def _is_lent_to(self, process: WorkProcess) -> bool:
        return self._loan is not None and self._loan.group == process.pid

    def _serve(self) -> None:
        """Lend the terminal to the one whose turn it is, if it waits for that."""
        while self.turns and self._loan is None:
            process, number = next(iter(self.turns.items()))
            if number is None:
                return  # it steps, and asks again soon
            self.turns[process] = None
            refusal = self._lend(process)
            self._send(process, TerminalLent(process.name, number, refusal))
            if refusal:
                del self.turns[process]

    def _lend(self, process: WorkProcess) -> str:
        """Lend the terminal; return why that can't be, or ""."""
        self._output.flush(process.name)
        try:
            self._loan = _Loan.to(process.pid)
        except (OSError, termios.error):
            return "standard input of the app is no terminal"
        if self._loan is None:
            return "the app runs in the background"
        if self._display is not None:
            self._display.hold()
        return ""

    def _take_back(self) -> None:
        assert self._loan is not None
        self._loan.end()
        self._loan = None
        if self._display is not None:
            self._display.release()


class _Loan(NamedTuple):
    """The terminal in the hands of a work.

    Attributes:
        group: The process group of the work.
        modes: How the terminal was set before.
    """

    group: int
    modes: list[Any]

    @classmethod
    def to(cls, group: int) -> _Loan | None:
        """Make `group` the one that the terminal talks to; return `None` if it is not ours to give.

        Raises:
            OSError: Standard input is not the terminal of this process.
            termios.error: It has just been closed.
        """
        if os.tcgetpgrp(_STDIN) != os.getpgrp():
            return None
        modes = termios.tcgetattr(_STDIN)
        changed = termios.tcgetattr(_STDIN)
        # Ctrl-Z would stop the work behind the back of the flow and of the shell.
        changed[_CONTROL_CHARACTERS][termios.VSUSP] = b"\0"
        # The flow may go on printing from behind.
        changed[_LOCAL_FLAGS] &= ~termios.TOSTOP
        termios.tcsetattr(_STDIN, termios.TCSANOW, changed)
        try:
            os.tcsetpgrp(_STDIN, group)
        except OSError:  # the work has just died
            termios.tcsetattr(_STDIN, termios.TCSANOW, modes)
            raise
        return cls(group, modes)

    def end(self) -> None:
        """Make this process the one that the terminal talks to, and set the terminal as it was."""
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})  # from behind it must be allowed
        try:
            with suppress(OSError, termios.error):  # the terminal was closed
                if os.tcgetpgrp(_STDIN) == self.group:
                    os.tcsetpgrp(_STDIN, os.getpgrp())
                    termios.tcsetattr(_STDIN, termios.TCSANOW, self.modes)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
