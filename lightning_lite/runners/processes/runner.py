"""The runner that gives each work a process of its own.

    main thread                              launcher thread          process of a work
    send(StartWork)   pipes, setup, work ───▶ posix_spawn ──────────▶ boot, main
    send(RunCall)     ────────── calls ─────────────────────────────▶ main thread
    send(WriteState)  ───────── control ────────────────────────────▶ helper thread
    wait()            ◀──────── reports ─────────────────────────────
                      ◀──────── sentinel ──────────────────────────── its exit, for any reason

`wait` never reads or writes more than a pipe holds at that moment, so no work can block it. Later steps
(terminate, kill) are deadlines within it. A process takes these steps:

    created ─▶ started by the launcher ─▶ up: its sentinel is watched ─▶ asked to end, or dead ─▶ reaped
"""

from __future__ import annotations

import marshal
import os
import signal
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, ClassVar, assert_never
from weakref import WeakSet

from lightning_lite.errors import RunnerError
from lightning_lite.main_messages import (
    DumpStack,
    ExternalRequest,
    KillWork,
    PrepareWork,
    Request,
    StartWork,
    WorkExited,
)
from lightning_lite.messages import (
    AcknowledgeState,
    RunCall,
    RunEnded,
    StopWork,
    WriteState,
)
from lightning_lite.process_places import Place
from lightning_lite.runners.base import RunnerOptions, start_failed
from lightning_lite.runners.limit_errors import name_limit
from lightning_lite.runners.output.pump import Display, OutputPump, WorkOutput
from lightning_lite.runners.polling_runner import PollingRunner
from lightning_lite.runners.processes.factory import ProcessFactory
from lightning_lite.runners.processes.launcher import Launcher
from lightning_lite.runners.processes.process import WorkProcess
from lightning_lite.runners.processes.shutdown import Shutdowns
from lightning_lite.runners.processes.spawn import inherited_settings
from lightning_lite.runners.processes.terminal_access import TerminalAccess
from lightning_lite.runners.wire.terminal_messages import ControlMessage, TerminalReleased, TerminalRequested

if TYPE_CHECKING:
    from lightning_lite.runners.wire.poller import Writer


class ProcessRunner(PollingRunner):
    """Runs each work in a process of its own.

    Args:
        options: The options. A fork server imports `preload` once for all works, a spawned process while it
            waits for its work.
        display: Where the output of works is shown, or `None` for nowhere.
        output: Receives the output of works, in place of logs and `display`.
        inherit: Returns the settings that a process inherits from the app, for its working directory.

    Raises:
        RunnerError: This system can't start processes.
    """

    can_kill: ClassVar[bool] = True
    can_suspend: ClassVar[bool] = True
    can_take_external: ClassVar[bool] = True
    can_write_stacks: ClassVar[bool] = True

    def __init__(
        self,
        options: RunnerOptions,
        display: Display | None = None,
        *,
        output: WorkOutput | None = None,
        inherit: Callable[[str | None], dict[str, Any]] = inherited_settings,
    ) -> None:
        if not hasattr(os, "posix_spawn") or not sys.executable:
            missing = "sys.executable" if hasattr(os, "posix_spawn") else "os.posix_spawn"
            raise RunnerError(f"Works in processes need {missing}, which is not there. Use runner='inline'.")
        super().__init__(OutputPump(options.logs, display) if output is None else output)
        self._processes: dict[str, WorkProcess] = {}
        self._prepared: dict[str, WorkProcess | None] = {}  # None: it failed to start
        self._launched: deque[WorkProcess] = deque()
        self._external: deque[ExternalRequest] = deque()
        self._shutdowns = Shutdowns()
        self._launcher = Launcher(self._on_launched)
        self._terminal = TerminalAccess(self._output, display, self._send_control)
        self._factory = ProcessFactory(options, self._output, inherit)
        _runners.add(self)

    def send(self, request: Request) -> None:
        """Accept one request to a work or about its process; see `Runner`."""
        with self._critical:
            if isinstance(request, PrepareWork):
                self._prepared[request.work] = self._create(request)
            elif isinstance(request, StartWork):
                self._start(request)
            elif (process := self._processes.get(request.work)) is not None:
                self._send_to(process, request)
            # Else it is dead: `wait` has returned its exit or will return it now.

    # Commands from other terminals; called in any thread.

    def places(self) -> dict[str, Place]:
        """Return the places of the works that have a process, by name."""
        host, processes = self._factory.host, list(self._processes.items())
        return {name: Place(host, process.pid) for name, process in processes if process.pid}

    def take_external(self, external: ExternalRequest) -> None:
        """Start to end a process, and make the next `wait` return the request."""
        process = self._processes.get(external.work)  # now: later, another process may have its name
        self._external.append(external)
        self._poller.wake()
        if process is not None:
            process.begin_end(at_once=external.timeout == 0)

    def write_stacks(self, work: str) -> None:
        """Make a work write the Python stacks of its threads to its output."""
        process = self._processes.get(work)
        if process is not None:
            process.ask_for_stacks()

    def renew_lease(self, deadline: float) -> None:
        """Let the guardian kill all works at a time, unless this is called again; from any thread.

        Args:
            deadline: Seconds of `lease.read_clock`.
        """
        self._factory.renew_lease(deadline)

    # For a server of works, which carries messages in the thread of this runner.

    def watch(self, fd: int, on_readable: Callable[[], None]) -> None:
        """Call `on_readable` in `wait` each time when a file descriptor can be read."""
        self._poller.watch(fd, on_readable)

    def unwatch(self, fd: int) -> None:
        """Forget a file descriptor that is watched."""
        self._poller.unwatch(fd)

    def push(self, writer: Writer) -> None:
        """Let `writer` write as much as its file descriptor accepts, and the rest in `wait`."""
        self._poller.push(writer)

    def drop(self, writer: Writer) -> None:
        """Let `writer` write no more."""
        self._poller.drop(writer)

    # Signals; called in their handlers.

    def suspend(self) -> None:
        """Stop all works, as Ctrl-Z does."""
        for process in list(self._processes.values()):
            process.signal_group(signal.SIGSTOP)

    def resume(self, seconds: float) -> None:
        """Continue all works that were stopped `seconds` ago."""
        for process in list(self._processes.values()):
            process.signal_group(signal.SIGCONT)
        self._shutdowns.postpone(seconds)

    # One turn.

    def _turn(self, timeout: float | None) -> None:
        """Wait until something happens or a deadline is due, and handle it."""
        shutdowns = self._shutdowns
        if shutdowns.due is not None:
            pause = max(0.0, shutdowns.due - monotonic())
            timeout = pause if timeout is None else min(pause, timeout)
        self._poller.turn(timeout)
        if self._must_kill_all:
            self._must_kill_all = False
            self._kill(*self._processes.values())
        if shutdowns.due is not None:
            self._advance_shutdowns()

    def _on_wake(self) -> None:
        self._take_external()
        self._take_launched()

    def _has_works(self) -> bool:
        return bool(self._processes)

    def _take_external(self) -> None:
        while self._external:
            self._reports.append(self._external.popleft())

    # The start of a process.

    def _start(self, request: StartWork) -> None:
        """Send a work to its process, which may have been started before, or may have failed to start."""
        is_prepared = request.work in self._prepared
        process = self._prepared.pop(request.work) if is_prepared else self._create(request)
        if process is None:
            return
        try:
            process.send_descriptors(request.descriptors)
        except (OSError, RunnerError) as error:
            self._reports.append(start_failed(process.name, name_limit(error)))
            self._kill(process)
            return
        process.calls.put_bytes(marshal.dumps(request.secrets))
        process.calls.put_bytes(request.work_side)
        self._poller.push(process.calls)

    def _create(self, request: PrepareWork | StartWork) -> WorkProcess | None:
        """Create a process, have it started, and return it; `None` if the system refuses it."""
        name = request.work
        if self._is_closed:
            raise RunnerError(f"{name} can't start: its runner is closed, or belongs to another process.")
        if name in self._processes:
            raise RunnerError(f"{name} has a process already, and that has not exited yet.")
        try:
            process = self._factory.make(request)
        except (OSError, RuntimeError) as error:
            self._output.detach(name)
            self._reports += start_failed(name, name_limit(error)), WorkExited(name, None)
            return None
        self._processes[name] = process
        self._poller.watch(process.messages, partial(self._on_readable, process))
        self._poller.push(process.calls)
        self._launcher.launch(process)
        return process

    def _on_launched(self, process: WorkProcess) -> None:
        """Note that a process is up, or failed to start; called in the launcher's thread."""
        self._launched.append(process)
        self._poller.wake()

    def _take_launched(self) -> None:
        while self._launched:
            process = self._launched.popleft()
            if process.start_error is not None:
                self._reports.append(start_failed(process.name, name_limit(process.start_error)))
            if process.start_error is not None or not process.pid:
                self._finish(process)
            elif process.sentinel >= 0:
                self._poller.watch(process.sentinel, partial(self._finish, process))

    # Messages.

    def _send_to(
        self,
        process: WorkProcess,
        request: RunCall | WriteState | AcknowledgeState | StopWork | KillWork | DumpStack,
    ) -> None:
        """Execute a request to a work that has a process."""
        match request:
            case RunCall():
                self._poller.send(process.calls, request)
            case WriteState() | AcknowledgeState():
                self._send_control(process, request)
            case StopWork():
                self._stop(process, request.timeout)
            case KillWork():
                self._kill(process)
            case DumpStack():
                process.ask_for_stacks()
            case _:
                assert_never(request)

    def _send_control(self, process: WorkProcess, message: ControlMessage) -> None:
        """Send a message to the helper thread of a work."""
        self._poller.send(process.control, message)

    def _on_readable(self, process: WorkProcess) -> None:
        self._read(process)
        if process.has_closed_pipe:
            # A process that can't report is useless; usually it is just exiting.
            self._poller.unwatch(process.messages)
            process.signal_group(signal.SIGKILL)
            if process.sentinel < 0:
                self._finish(process)

    def _read(self, process: WorkProcess) -> bool:
        """Take the messages that have arrived from a process; return whether there may be more at once."""
        messages, has_more = process.read()
        for message in messages:
            kind = type(message)
            if kind is TerminalRequested or kind is TerminalReleased:
                self._terminal.handle(process, message)
                continue
            if kind is RunEnded:
                if self._terminal.queue:
                    self._terminal.end_call(process)
                self._output.flush(process.name)  # the output of a call is shown before its end is handled
            self._reports.append(message)
        return has_more

    # The end of a process.

    def _stop(self, process: WorkProcess, timeout: float) -> None:
        """Ask a process to end within `timeout` seconds, else terminate and kill it."""
        self._send_control(process, StopWork(process.name, timeout))
        process.begin_end(at_once=False)
        self._shutdowns.stop(process, timeout)

    def _kill(self, *processes: WorkProcess) -> None:
        """Kill processes, or prevent their start."""
        for process in processes:
            process.must_end = True
            self._shutdowns.kill(process)
        self._advance_shutdowns()

    def _stop_all(self, timeout: float) -> None:
        self._launcher.stop_registering()
        # Prepared processes wait for their work, and read no request to stop.
        self._kill(*[process for process in self._prepared.values() if process is not None])
        # In reverse order, because a work may need those that were started before it.
        for process in reversed(self._processes.values()):
            self._stop(process, timeout)

    def _advance_shutdowns(self) -> None:
        for process in self._shutdowns.advance():
            process.abandon()
            self._finish(process)

    def _finish(self, process: WorkProcess) -> None:
        """Reap a process, close its pipes, and report its exit as its last message."""
        while self._read(process):
            pass
        exitcode = process.reap()
        self._terminal.forget(process)
        self._output.detach(process.name)
        for writer in (process.calls, process.control):
            self._poller.drop(writer)
        for fd in (process.messages, process.sentinel):
            self._poller.unwatch(fd)
        process.close()
        self._shutdowns.forget(process)
        self._prepared.pop(process.name, None)
        del self._processes[process.name]
        self._take_external()  # the request that caused this exit comes before it
        self._reports.append(WorkExited(process.name, exitcode, process.detail))

    def _release(self) -> None:
        """Release all resources; processes that are left, because `close` was interrupted, are killed."""
        self._is_closed = True
        for process in self._processes.values():
            process.must_end = True
        self._launcher.close()
        self._take_launched()
        for process in list(self._processes.values()):
            self._finish(process)
        self._factory.close()
        self._output.close()
        self._poller.close()

    def _close_after_fork(self) -> None:
        """Close all descriptors of the works in a forked child: they belong to the parent."""
        if not self._is_closed:
            self._is_closed = True
            for process in self._processes.values():
                process.close_after_fork()
            self._processes.clear()
            self._factory.close_after_fork()
            self._poller.close_after_fork()


_runners: WeakSet[ProcessRunner] = WeakSet()


def _close_all_after_fork() -> None:
    for runner in list(_runners):
        runner._close_after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_all_after_fork)
