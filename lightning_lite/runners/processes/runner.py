"""The runner that gives each work a process of its own.

    main thread                              launcher thread          process of a work
    send(StartWork)   pipes, setup, host ───▶ posix_spawn ──────────▶ boot, child
    send(RunCall)     ────────── calls ─────────────────────────────▶ main thread
    send(WriteState)  ───────── control ────────────────────────────▶ helper thread
    wait()            ◀──────── letters ─────────────────────────────
                      ◀──────── sentinel ──────────────────────────── its end, however it comes

`wait` never reads or writes more than a pipe holds at that moment, so no work can keep it; what has to happen
later (terminate, kill) are deadlines within it.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from time import monotonic
from typing import ClassVar

from lightning_lite.errors import RunnerError
from lightning_lite.messages import (
    DumpStack,
    ExternalRequest,
    KillWork,
    PrepareWork,
    Report,
    Request,
    RunCall,
    StartWork,
    StopWork,
)
from lightning_lite.runners.base import Runner
from lightning_lite.runners.output.pump import Display, OutputPump
from lightning_lite.runners.processes.factory import ProcessFactory
from lightning_lite.runners.processes.pool import ProcessPool
from lightning_lite.runners.signals import CriticalSection


class ProcessRunner(Runner):
    """Runs each work in a process of its own.

    Args:
        root: Absolute root folder of the app.
        logs: Folder of the logs of works.
        display: Where the output of works is shown, or `None` for nowhere.
        durable: Whether what works put into drives must survive the loss of power.
        start_method: `spawn` starts an interpreter for each work, `forkserver` one and forks all from it.
        preload: Modules that works need: the fork server loads them once for all, a spawned process while
            it waits to hear which work it is.

    Raises:
        RunnerError: This system has no processes that could be used.
    """

    can_kill: ClassVar[bool] = True
    can_suspend: ClassVar[bool] = True

    def __init__(
        self,
        root: str,
        logs: str,
        display: Display | None = None,
        durable: bool = False,
        start_method: str = "spawn",
        preload: Sequence[str] = (),
    ) -> None:
        if not hasattr(os, "posix_spawn") or not sys.executable:
            lacking = "sys.executable" if hasattr(os, "posix_spawn") else "os.posix_spawn"
            raise RunnerError(f"Works in processes need {lacking}, which is not there. Use runner='inline'.")
        self._is_closing = False
        self._is_awake = False
        self._output = OutputPump(logs, display)
        factory = ProcessFactory(
            root, self._output, durable=durable, start_method=start_method, preload=preload
        )
        self._pool = ProcessPool(factory, self._output, display)
        self._critical = CriticalSection(self._pool.ring)

    def send(self, request: Request) -> None:
        """Take one letter for a work, or about its process; see `seam.Runner`."""
        pool = self._pool
        with self._critical:
            if isinstance(request, PrepareWork):
                pool.prepare(request)
            elif isinstance(request, StartWork):
                pool.start(request)
            elif (process := pool.processes.get(request.work)) is None:
                pass  # it has died, and `wait` has said so or will say it now
            elif isinstance(request, RunCall):
                pool.call(process, request)
            elif isinstance(request, StopWork):
                pool.stop(process, request.timeout)
            elif isinstance(request, KillWork):
                pool.kill(process)
            elif isinstance(request, DumpStack):
                process.ask_for_stacks()
            else:
                pool.send_control(process, request)

    def wait(self, timeout: float | None) -> Sequence[Report]:
        """Return all letters that have arrived, in order per work; see `seam.Runner`."""
        until = None if timeout is None else monotonic() + timeout
        with self._critical:
            patience = 0.0 if self._has_news() else timeout
            while True:
                self._pool.turn(patience)
                if self._has_news():
                    break
                if until is not None:
                    patience = until - monotonic()
                    if patience <= 0:
                        break
        self._is_awake = False
        return self._pool.take_messages()

    def wake(self) -> None:
        """Let a `wait` that is under way return; may be called from any thread and signal handler."""
        self._is_awake = True
        self._pool.ring()

    def close(self, timeout: float) -> Sequence[Report]:
        """End all works in order within about `timeout` seconds, then kill; leave nothing behind."""
        self._is_closing = True
        if not self._pool.is_closed:
            try:
                self._pool.stop_all(timeout)
                while self._pool.processes:
                    self._pool.turn(None)
            finally:
                self._pool.release()
        return self._pool.take_messages()

    # What commands from outside ask for, see `seam.Steerable`; in any thread.

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes of the works that have one, by name."""
        return {name: process.pid for name, process in list(self._pool.processes.items()) if process.pid}

    def take_external(self, external: ExternalRequest) -> None:
        """Begin to end a process, and let the next `wait` say so."""
        process = self._pool.processes.get(external.work)  # now: another may have its name when it is heard
        self._pool.external(external)
        if process is not None:
            process.begin_end(at_once=external.timeout == 0)

    def write_stacks(self, work: str) -> None:
        """Let a work write the Python stacks of its threads to its output."""
        process = self._pool.processes.get(work)
        if process is not None:
            process.ask_for_stacks()

    # What signals of the terminal ask for; called in their handlers.

    @property
    def is_ending(self) -> bool:
        """Whether the works are being ended, or an exception is on its way to that."""
        return self._is_closing or self._critical.is_unwinding

    def interrupt(self, error: BaseException) -> None:
        """Raise `error`: now, or at the end of the `send` or `wait` that is under way."""
        self._critical.interrupt(error)

    def kill_all(self) -> None:
        """End all works at once, and wait no longer for a display that stands still."""
        self._output.hurry()
        self._pool.kill_all()

    def suspend(self) -> None:
        """Stop all works, as Ctrl-Z does."""
        for process in list(self._pool.processes.values()):
            process.signal_group(signal.SIGSTOP)

    def resume(self, seconds: float) -> None:
        """Let all works go on that were stopped `seconds` ago."""
        for process in list(self._pool.processes.values()):
            process.signal_group(signal.SIGCONT)
        self._pool.postpone(seconds)

    def _has_news(self) -> bool:
        return self._pool.has_messages or self._is_awake or self._critical.is_interrupted
