"""Gives the terminal to one work at a time, for its debugger; the side of the main process.

    TerminalRequested ─▶ queue ─▶ its output is shown, the display is paused,
                                  its process group becomes the foreground group ─▶ TerminalGranted
    TerminalReleased, or its death ─▶ all that is restored; the next one in the queue

A work that steps releases the terminal after each prompt, and stays first in the queue.
"""

from __future__ import annotations

import os
import signal
import termios
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NamedTuple

from lightning_lite.runners.output.pump import Display, WorkOutput
from lightning_lite.runners.processes.process import WorkProcess
from lightning_lite.runners.wire.terminal_messages import (
    TerminalGranted,
    TerminalReleased,
    TerminalRequested,
)

#: The terminal from which the app reads. On another one, no user may answer.
_STDIN = 0

# Indices in the list that `tcgetattr` returns.
_LOCAL_FLAGS, _CONTROL_CHARACTERS = 3, 6


class TerminalAccess:
    """Gives the terminal to works, in the order of their requests.

    Args:
        output: Shows the output of a work before its request.
        display: Paused while a work has the terminal.
        send: Sends a message to the process of a work.

    Attributes:
        queue: The works that use the terminal or wait for it, first the one whose turn it is, with the number
            of the request to answer, or `None`. A plain attribute, because the runner reads it in each call.
    """

    def __init__(
        self,
        output: WorkOutput,
        display: Display | None,
        send: Callable[[WorkProcess, TerminalGranted], None],
    ) -> None:
        self._output = output
        self._display = display
        self._send = send
        self.queue: dict[WorkProcess, int | None] = {}
        self._foreground: _Foreground | None = None

    def handle(self, process: WorkProcess, message: TerminalRequested | TerminalReleased) -> None:
        """Handle a message of a work."""
        if isinstance(message, TerminalRequested):
            self.queue[process] = message.number
            self._grant_next()
        elif message.is_done:
            self.forget(process)
        elif self._is_granted_to(process):
            self._restore()

    def end_call(self, process: WorkProcess) -> None:
        """End the turn of a work whose call has ended, unless another thread of it requests the terminal."""
        if process in self.queue and not self._is_granted_to(process) and self.queue[process] is None:
            self.forget(process)

    def forget(self, process: WorkProcess) -> None:
        """Remove a work from the queue, and give the terminal to the next one."""
        if self._is_granted_to(process):
            self._restore()
        if process in self.queue:
            del self.queue[process]
            self._grant_next()

    def _is_granted_to(self, process: WorkProcess) -> bool:
        return self._foreground is not None and self._foreground.group == process.pid

    def _grant_next(self) -> None:
        """Give the terminal to the first work in the queue, if it has requested it."""
        while self.queue and self._foreground is None:
            process, number = next(iter(self.queue.items()))
            if number is None:
                return  # its debugger steps, and requests the terminal again soon
            self.queue[process] = None
            refusal = self._grant(process)
            self._send(process, TerminalGranted(process.name, number, refusal))
            if refusal:
                del self.queue[process]

    def _grant(self, process: WorkProcess) -> str:
        """Give the terminal to a work; return why that is not possible, or ""."""
        self._output.flush(process.name)
        try:
            self._foreground = _Foreground.give_to(process.pid)
        except (OSError, termios.error):
            return "standard input of the app is not a terminal"
        if self._foreground is None:
            return "the app runs in the background"
        if self._display is not None:
            self._display.hold()
        return ""

    def _restore(self) -> None:
        assert self._foreground is not None
        self._foreground.restore()
        self._foreground = None
        if self._display is not None:
            self._display.release()


class _Foreground(NamedTuple):
    """The state of the terminal while a work is its foreground process group.

    Attributes:
        group: The process group of the work.
        modes: The modes of the terminal before.
    """

    group: int
    modes: list[Any]

    @classmethod
    def give_to(cls, group: int) -> _Foreground | None:
        """Make `group` the foreground process group; return `None` if this process is not in the foreground.

        Raises:
            OSError: Standard input is not the terminal of this process.
            termios.error: The terminal was just closed.
        """
        if os.tcgetpgrp(_STDIN) != os.getpgrp():
            return None
        modes = termios.tcgetattr(_STDIN)
        changed = termios.tcgetattr(_STDIN)
        # Ctrl-Z would stop the work alone, and neither the flow nor the shell would know.
        changed[_CONTROL_CHARACTERS][termios.VSUSP] = b"\0"
        # The flow may print while it is in the background.
        changed[_LOCAL_FLAGS] &= ~termios.TOSTOP
        termios.tcsetattr(_STDIN, termios.TCSANOW, changed)
        try:
            os.tcsetpgrp(_STDIN, group)
        except OSError:  # the work has just died
            termios.tcsetattr(_STDIN, termios.TCSANOW, modes)
            raise
        return cls(group, modes)

    def restore(self) -> None:
        """Make this process the foreground process group, and restore the modes of the terminal."""
        # A background process that sets the foreground group gets SIGTTOU, unless that is blocked.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTTOU})
        try:
            with suppress(OSError, termios.error):  # the terminal was closed
                if os.tcgetpgrp(_STDIN) == self.group:
                    os.tcsetpgrp(_STDIN, os.getpgrp())
                    termios.tcsetattr(_STDIN, termios.TCSANOW, self.modes)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
