"""Shows works as process objects of `multiprocess`: `active_children()` lists them.

Launched first, registered afterwards, because importing `multiprocess` takes longer than a work to start. The
process objects ask ours, so reading them takes no exit code away.
"""

from __future__ import annotations

import select
import signal
from typing import Any

from lightning_lite.runners.processes.process import WorkProcess


def register(process: WorkProcess) -> None:
    """Make `process`, which is up, known to `multiprocess` until it is reaped."""
    from multiprocess.process import BaseProcess, current_process  # noqa: PLC0415 - 60 to 85 ms

    if process.has_ended() or current_process().daemon:
        return  # a daemon of multiprocess may not have children there

    class RegisteredProcess(BaseProcess):  # type: ignore[misc]
        @staticmethod
        def _Popen(process_object: Any) -> WorkPopen:  # noqa: N802 - the name is multiprocess's
            return WorkPopen(process)

    # A daemon, so that an app that was not closed is terminated at exit, not waited for.
    registered = RegisteredProcess(name=process.name, daemon=True)
    registered.start()
    process.registered = registered
    if process.is_reaped:
        registered.join()  # it has ended since, and the thread that reaped it did not see this object yet


#: The exit code that `subprocess` and `asyncio` report if other code has reaped the process.
_UNKNOWN = 255


class WorkPopen:
    """The methods that a process object of `multiprocess` needs; it holds nothing of its own."""

    def __init__(self, process: WorkProcess) -> None:
        self._process = process
        self.pid = process.pid
        self.sentinel = process.sentinel if process.sentinel >= 0 else process.messages

    @property
    def returncode(self) -> int | None:
        """The exit code, once it was asked for."""
        return self.poll() if self._process.is_reaped else None

    def poll(self) -> int | None:
        """Return the exit code, or `None` as long as the process lives."""
        if not self._process.has_ended():
            return None
        exitcode = self._process.reap()
        return _UNKNOWN if exitcode is None else exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code when the process has ended, or `None` after `timeout` seconds."""
        if not self._process.has_ended():
            poller = select.poll()
            poller.register(self.sentinel, select.POLLIN)
            poller.poll(None if timeout is None else timeout * 1000)
        return self.poll()

    def terminate(self) -> None:
        """Ask the process to end."""
        self._process.signal_group(signal.SIGTERM)

    def kill(self) -> None:
        """End the process at once."""
        self._process.signal_group(signal.SIGKILL)

    def close(self) -> None:
        """Do nothing: pipes and sentinel are the runner's."""
