"""How a process is ended: it is asked, terminated, then killed. Deadlines drive this, no thread waits.

    stop ── timeout ──▶ SIGTERM, SIGCONT ── pause ──▶ SIGKILL ── pause ──▶ give up

The signals go to the whole process group, so that the children of a work end with it.
"""

from __future__ import annotations

import signal
from time import monotonic

from lightning_lite.runners.processes.process import WorkProcess

#: Seconds from SIGTERM to SIGKILL.
TERMINATE_PAUSE = 0.5

#: Seconds from SIGKILL until a process is given up: it hangs in the kernel.
KILL_PAUSE = 5.0

#: Seconds until the next check of a process that is being started.
_START_PAUSE = 0.02


class _Shutdown:
    """The shutdown of one process, which the caller has asked to stop.

    Args:
        process: The process.
        due: Monotonic time of the next step.
        is_patient: Whether it gets SIGTERM before SIGKILL.
    """

    def __init__(self, process: WorkProcess, due: float, *, is_patient: bool = True) -> None:
        self.due = due
        self._process = process
        self._is_terminated = not is_patient
        self._is_killed = False

    def advance(self, now: float) -> bool:
        """Take the next step if it is due; return whether the process can still end."""
        if now < self.due:
            return True
        if not self._process.pid:
            self.due = now + _START_PAUSE
        elif not self._is_terminated:
            # SIGCONT too: a stopped process handles SIGTERM only when it continues.
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


class Shutdowns:
    """All processes of a runner that are being ended.

    Attributes:
        due: Monotonic time of the next step, or `None` if no process is being ended. A plain attribute,
            because the runner reads it in each turn.
    """

    def __init__(self) -> None:
        self.due: float | None = None
        self._shutdowns: dict[WorkProcess, _Shutdown] = {}

    def stop(self, process: WorkProcess, timeout: float) -> None:
        """End a process that was asked to stop, within `timeout` seconds or its earlier deadline."""
        due = monotonic() + timeout
        shutdown = self._shutdowns.setdefault(process, _Shutdown(process, due))
        shutdown.due = min(shutdown.due, due)
        self._update()

    def kill(self, process: WorkProcess) -> None:
        """Kill a process at the next `advance`."""
        self._shutdowns[process] = _Shutdown(process, monotonic(), is_patient=False)
        self._update()

    def advance(self) -> list[WorkProcess]:
        """Take all steps that are due, and return the processes that even SIGKILL has not ended."""
        now = monotonic()
        hanging = [process for process, one in list(self._shutdowns.items()) if not one.advance(now)]
        self._update()
        return hanging

    def postpone(self, seconds: float) -> None:
        """Move all deadlines: the app was suspended for that time."""
        for shutdown in list(self._shutdowns.values()):
            shutdown.due += seconds
        self._update()

    def forget(self, process: WorkProcess) -> None:
        """Note that a process has exited."""
        if self._shutdowns.pop(process, None) is not None:
            self._update()

    def _update(self) -> None:
        self.due = min((one.due for one in list(self._shutdowns.values())), default=None)
