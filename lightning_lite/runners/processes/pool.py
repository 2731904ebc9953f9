"""The processes of all works of an app, from their start to their end.

    made ─▶ launched in a thread ─▶ up: its sentinel is watched ─▶ asked to end, or died ─▶ reaped

What comes of it are letters, each behind all that has led to it.
"""

from __future__ import annotations

import os
import signal
from collections import deque
from functools import partial
from time import monotonic
from weakref import WeakSet

from lightning_lite.errors import RunnerError
from lightning_lite.messages import (
    AcknowledgeState,
    ExternalRequest,
    Failure,
    PrepareWork,
    Report,
    RunCall,
    RunEnded,
    StartFailed,
    StartWork,
    StopWork,
    WorkExited,
    WriteState,
)
from lightning_lite.runners.exit_status import name_limit
from lightning_lite.runners.output.pump import Display, OutputPump
from lightning_lite.runners.processes.factory import ProcessFactory
from lightning_lite.runners.processes.launcher import Launcher
from lightning_lite.runners.processes.poller import Poller
from lightning_lite.runners.processes.process import WorkProcess
from lightning_lite.runners.processes.shutdown import Ladders
from lightning_lite.runners.processes.terminal_lease import Lender
from lightning_lite.runners.wire.terminal_messages import TerminalLent, TerminalReturned, TerminalWanted
from lightning_lite.values.pickling import pack


class ProcessPool:
    """Begins, hears and ends the processes of works, in the turns of its loop.

    Args:
        factory: Makes them.
        output: Takes what they print.
        display: Holds still while one of them has the terminal.

    Attributes:
        processes: Those that are there, by the names of their works.
        is_closed: Whether no process may begin any more.
    """

    def __init__(self, factory: ProcessFactory, output: OutputPump, display: Display | None) -> None:
        self.processes: dict[str, WorkProcess] = {}
        self._messages: list[Report] = []
        self._loop = Poller(self._hear_bell)
        self._ladders = Ladders()
        self.is_closed = False
        self._factory = factory
        self._output = output
        self._lender = Lender(output, display, self.send_control)
        self._launcher = Launcher(self._hear_launch)
        self._launched: deque[WorkProcess] = deque()
        self._prepared: dict[str, WorkProcess | None] = {}
        self._wishes: deque[ExternalRequest] = deque()
        self._is_to_kill_all = False
        _pools.add(self)

    # One turn of the loop.

    def turn(self, timeout: float | None) -> None:
        """Wait until something happens or a deadline is due, and do what follows from it."""
        if (due := self._ladders.due) is not None:
            pause = max(0.0, due - monotonic())
            timeout = pause if timeout is None else min(pause, timeout)
        self._loop.turn(timeout)
        if self._is_to_kill_all:
            self._is_to_kill_all = False
            self.kill(*self.processes.values())
        self._climb()

    def ring(self) -> None:
        """End the waiting of a turn; may be called from any thread and signal handler."""
        self._loop.ring()

    @property
    def has_messages(self) -> bool:
        """Whether letters have arrived."""
        return bool(self._messages)

    def take_messages(self) -> list[Report]:
        """Return what has arrived, once."""
        messages, self._messages = self._messages, []
        return messages

    # The beginning of a process.

    def prepare(self, request: PrepareWork) -> None:
        """Begin with a process that will hear later what it is."""
        self._prepared[request.work] = self._begin(request)

    def start(self, request: StartWork) -> None:
        """Send what the work is to its process, which may have been begun already, or may have failed to."""
        is_prepared = request.work in self._prepared
        process = self._prepared.pop(request.work) if is_prepared else self._begin(request)
        if process is None:
            return
        try:
            process.send_descriptors(request.descriptors)
        except (OSError, RunnerError) as error:
            self._messages.append(_start_failed(process.name, error))
            self.kill(process)
            return
        process.calls.put_bytes(request.host)
        self._loop.push(process.calls)

    def _begin(self, request: PrepareWork | StartWork) -> WorkProcess | None:
        """Begin with a process, and return it unless the system refuses."""
        name = request.work
        if self.is_closed:
            raise RunnerError(f"{name} can't start: its runner is closed, or belongs to another process.")
        if name in self.processes:
            raise RunnerError(f"{name} has a process already, and that has not exited yet.")
        try:
            process = self._factory.make(request)
        except (OSError, RuntimeError) as error:
            self._output.detach(name)
            self._messages += _start_failed(name, error), WorkExited(name, None)
            return None
        self.processes[name] = process
        self._loop.watch(process.messages, partial(self._hear, process))
        self._loop.push(process.calls)
        self._launcher.launch(process)
        return process

    def _hear_launch(self, process: WorkProcess) -> None:
        """Take note of a process that is up, or never will be; called in the launcher's thread."""
        self._launched.append(process)
        self._loop.ring()

    def _take_launched(self) -> None:
        while self._launched:
            process = self._launched.popleft()
            if process.start_error is not None:
                self._messages.append(_start_failed(process.name, process.start_error))
            if process.start_error is not None or not process.pid:
                self._bury(process)
            elif process.sentinel >= 0:
                self._loop.watch(process.sentinel, partial(self._bury, process))

    # Messages to and from a process.

    def call(self, process: WorkProcess, request: RunCall) -> None:
        """Send a call, behind those that are under way."""
        process.calls.put(request)
        self._loop.push(process.calls)

    def send_control(
        self, process: WorkProcess, message: StopWork | WriteState | AcknowledgeState | TerminalLent
    ) -> None:
        """Send a letter that is for the helper thread of the work."""
        process.control.put(message)
        self._loop.push(process.control)

    def external(self, external: ExternalRequest) -> None:
        """Let a wish from outside be among the next letters; may be called in any thread."""
        self._wishes.append(external)
        self._loop.ring()

    def _hear_bell(self) -> None:
        self._take_wishes()
        self._take_launched()

    def _take_wishes(self) -> None:
        while self._wishes:
            self._messages.append(self._wishes.popleft())

    def _hear(self, process: WorkProcess) -> None:
        self._read(process)
        if process.is_mute:
            # A process that can't report any more is of no use; most often it is just exiting.
            self._loop.unwatch(process.messages)
            process.signal_group(signal.SIGKILL)
            if process.sentinel < 0:
                self._bury(process)

    def _read(self, process: WorkProcess) -> bool:
        """Take what has arrived from a process; return whether there may be more at once."""
        messages, has_more = process.read()
        for message in messages:
            kind = type(message)
            if kind is TerminalWanted or kind is TerminalReturned:
                self._lender.hear(process, message)
                continue
            if kind is RunEnded:
                # What a call has printed is shown before its end is acted on.
                self._lender.end_call(process)
                self._output.flush(process.name)
            self._messages.append(message)
        return has_more

    # The end of a process.

    def stop(self, process: WorkProcess, timeout: float) -> None:
        """Let a process end in order within so many seconds, else terminate and kill it."""
        self.send_control(process, StopWork(process.name, timeout))
        process.begin_end(at_once=False)
        self._ladders.stop(process, timeout)

    def kill(self, *processes: WorkProcess) -> None:
        """Kill processes, or do not let them begin."""
        for process in processes:
            process.is_doomed = True
            self._ladders.kill(process)
        self._climb()

    def stop_all(self, timeout: float) -> None:
        """Let all processes end; no further one may be shown to `multiprocess`."""
        self._launcher.hurry()
        # They wait for what they are, and hear nothing else.
        self.kill(*[process for process in self._prepared.values() if process is not None])
        # All at once, and the last one started first: it may lean on the others.
        for process in reversed(self.processes.values()):
            self.stop(process, timeout)

    def kill_all(self) -> None:
        """Let the next turn kill all; may be called from any thread and signal handler."""
        self._is_to_kill_all = True
        self._loop.ring()

    def postpone(self, seconds: float) -> None:
        """Give all that are being ended more time: they were stopped as long."""
        self._ladders.postpone(seconds)

    def _climb(self) -> None:
        """Do to the processes that are being ended what is due, and give up those that nothing can end."""
        for process in self._ladders.climb():
            process.abandon()
            self._bury(process)

    def release(self) -> None:
        """Give everything back; what is still there, because the closing was cut, is killed."""
        self.is_closed = True
        for process in self.processes.values():
            process.is_doomed = True
        self._launcher.close()
        self._take_launched()
        for process in list(self.processes.values()):
            self._bury(process)
        self._factory.close()
        self._output.close()
        self._loop.close()

    def disown(self) -> None:
        """Hold nothing of the works any more, in a process that this one has forked: they are not its own."""
        if not self.is_closed:
            self.is_closed = True
            for process in self.processes.values():
                process.disown()
            self.processes.clear()
            self._factory.disown()
            self._loop.close()

    def _bury(self, process: WorkProcess) -> None:
        """Let nothing of a process be left, and report its end behind everything that it has sent."""
        while self._read(process):
            pass
        exitcode = process.reap()
        self._lender.forget(process)
        self._output.detach(process.name)
        for writer in (process.calls, process.control):
            self._loop.drop(writer)
        for fd in (process.messages, process.sentinel):
            self._loop.unwatch(fd)
        process.close()
        self._ladders.forget(process)
        self._prepared.pop(process.name, None)
        del self.processes[process.name]
        self._take_wishes()  # what has led to this end stands before it
        self._messages.append(WorkExited(process.name, exitcode, process.detail))


def _start_failed(work: str, error: Exception) -> StartFailed:
    message = f"{work} could not start: {name_limit(error)}"
    return StartFailed(work, Failure("start_failed", message, error=pack(RunnerError(message))))


_pools: WeakSet[ProcessPool] = WeakSet()


def _disown_after_fork() -> None:
    for pool in list(_pools):
        pool.disown()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_after_fork)
