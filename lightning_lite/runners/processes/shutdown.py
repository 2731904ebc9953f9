"""The order in which a process is ended: ask, terminate, kill; driven by deadlines, no thread waits.

    stop ── timeout ──▶ terminate, continue ── pause ──▶ kill ── pause ──▶ give up

Always the whole group: what a work has started goes with it.
"""

from __future__ import annotations

import signal
from time import monotonic

from lightning_lite.runners.processes.process import WorkProcess

#: Seconds from terminating to killing.
TERMINATE_PAUSE = 0.5

#: Seconds after which a process that was killed is given up: it hangs in the kernel.
KILL_PAUSE = 5.0

#: Seconds until the next look at a process that is just being started.
_START_PAUSE = 0.02


class _Ladder:
    """Leads one process down, rung by rung; the first one, telling it, is the caller's.

    Args:
        process: The process that is to end.
        due: Monotonic time at which the next rung is due.
        is_patient: Whether it is terminated before it is killed.
    """

    def __init__(self, process: WorkProcess, due: float, *, is_patient: bool = True) -> None:
        self.due = due
        self._process = process
        self._is_terminated = not is_patient
        self._is_killed = False

    def climb(self, now: float) -> bool:
        """Take the next rung if it is due; return whether the process may still end."""
        if now < self.due:
            return True
        if not self._process.pid:
            self.due = now + _START_PAUSE
        elif not self._is_terminated:
            # A process that is stopped dies of the first signal only when it goes on.
            self._process.signal_group(signal.SIGTERM)
            self._process.signal_group(signal.SIGCONT)
            self._is_terminated = True
            self.due = now + TERMINATE_PAUSE
        elif not self._is_killed:
            self._process.signal_group(signal.SIGKILL)
            self._is_killed = True
            self.due = now + KILL_PAUSE
        else:
            return False
        return True


class Ladders:
    """All processes of a runner that are being ended."""

    def __init__(self) -> None:
        self._ladders: dict[WorkProcess, _Ladder] = {}

    @property
    def due(self) -> float | None:
        """Monotonic time at which the next rung is due, or `None`."""
        return min(ladder.due for ladder in self._ladders.values()) if self._ladders else None

    def stop(self, process: WorkProcess, timeout: float) -> None:
        """Give a process that was asked to end this many seconds, or the rest of those that it had."""
        due = monotonic() + timeout
        ladder = self._ladders.setdefault(process, _Ladder(process, due))
        ladder.due = min(ladder.due, due)

    def kill(self, process: WorkProcess) -> None:
        """Let a process be killed by the next `climb`."""
        self._ladders[process] = _Ladder(process, monotonic(), is_patient=False)

    def climb(self) -> list[WorkProcess]:
        """Take all rungs that are due, and return the processes that nothing can end."""
        if not self._ladders:
            return []
        now = monotonic()
        return [process for process, ladder in list(self._ladders.items()) if not ladder.climb(now)]

    def postpone(self, seconds: float) -> None:
        """Move all deadlines: works and flow were suspended for that time."""
        for ladder in list(self._ladders.values()):
            ladder.due += seconds

    def forget(self, process: WorkProcess) -> None:
        """Take note that a process has ended."""
        self._ladders.pop(process, None)
