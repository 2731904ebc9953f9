"""Works in processes of their own.

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

import marshal
import os
import signal
import sys
from collections import deque
from collections.abc import Sequence
from functools import partial
from time import monotonic
from typing import ClassVar
from weakref import WeakSet

from lightning_lite import settings
from lightning_lite.errors import RunnerError
from lightning_lite.messages import (
    AcknowledgeState,
    DumpStack,
    Failure,
    KillWork,
    PrepareWork,
    Report,
    Request,
    RunCall,
    RunEnded,
    StartFailed,
    StartWork,
    StopWork,
    Wish,
    WorkExited,
    WriteState,
)
from lightning_lite.packing import pack
from lightning_lite.runners.fork_server import ForkServer
from lightning_lite.runners.guardian import Guardian
from lightning_lite.runners.heritage import describe_heritage
from lightning_lite.runners.launch import Launcher, Spawner
from lightning_lite.runners.lending import Lender
from lightning_lite.runners.letters import TerminalLent, TerminalReturned, TerminalWanted
from lightning_lite.runners.limits import name_limit
from lightning_lite.runners.loop import Loop
from lightning_lite.runners.output import Display, OutputPump
from lightning_lite.runners.stopping import Ladder
from lightning_lite.runners.whole import Whole
from lightning_lite.runners.work_process import Origin, WorkProcess


class ProcessRunner:
    """Runs each work in a process of its own; see `seam.Runner`, and `signals.Interruptible`.

    Args:
        root: Absolute root folder of the app.
        logs: Folder of the logs of works.
        display: Where the output of works is shown, or `None` for nowhere.
        durable: Whether what works put into drives must survive the loss of power.
        start_method: `spawn` starts an interpreter for each work, `forkserver` one and forks all from it.
        preload: Modules that works need, first the one that all need: that one each process loads while it
            waits to hear which work it is, and the fork server loads all that this process has.

    Raises:
        RunnerError: This system has no processes that could be used.
    """

    #: Works can be killed and can crash, at any time, and the flow goes on.
    can_kill: ClassVar[bool] = True

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
        self._root = root
        self._durable = durable
        self._preload = list(preload[:1])
        self._processes: dict[str, WorkProcess] = {}
        self._ladders: dict[WorkProcess, Ladder] = {}
        self._letters: list[Report] = []
        self._prepared: dict[str, WorkProcess | None] = {}
        self._launched: deque[WorkProcess] = deque()
        self._wishes: deque[Wish] = deque()
        self._is_awake = False
        self._is_to_kill_all = False
        self._is_closed = False
        self._output = OutputPump(logs, display)
        self._lender = Lender(self._output, display, self._tell)
        self._guardian = Guardian()
        self._spawner = Spawner()
        self._server = ForkServer(self._guardian, preload) if start_method == "forkserver" else None
        self._launcher = Launcher(self._hear_launch)
        self._loop = Loop(self._hear_bell)
        self._whole = Whole(self._loop.ring)
        _runners.add(self)

    def send(self, request: Request) -> None:
        """Take one letter for a work, or about its process; see `seam.Runner`."""
        with self._whole:
            if isinstance(request, PrepareWork):
                self._prepared[request.work] = self._prepare(request)
            elif isinstance(request, StartWork):
                self._start(request)
            elif (process := self._processes.get(request.work)) is None:
                pass  # it has died, and `wait` has said so or will say it now
            elif isinstance(request, RunCall):
                process.calls.put(request)
                self._loop.push(process.calls)
            elif isinstance(request, StopWork):
                self._stop(process, request)
            elif isinstance(request, KillWork):
                self._kill(process)
            elif isinstance(request, DumpStack):
                process.ask_for_stacks()
            else:
                self._tell(process, request)

    def wait(self, timeout: float | None) -> Sequence[Report]:
        """Return all letters that have arrived, in order per work; see `seam.Runner`."""
        until = None if timeout is None else monotonic() + timeout
        with self._whole:
            patience = 0.0 if self._has_news() else timeout
            while True:
                self._turn(patience)
                if self._has_news():
                    break
                if until is not None:
                    patience = until - monotonic()
                    if patience <= 0:
                        break
        self._is_awake = False
        letters, self._letters = self._letters, []
        return letters

    def wake(self) -> None:
        """Let a `wait` that is under way return; may be called from any thread and signal handler."""
        self._is_awake = True
        self._loop.ring()

    def close(self, timeout: float) -> Sequence[Report]:
        """End all works in order within about `timeout` seconds, then kill; leave nothing behind."""
        self._is_closing = True
        self._launcher.hurry()
        if not self._is_closed:
            try:
                for process in self._prepared.values():
                    if process is not None:
                        self._kill(process)  # it waits for what it is, and hears nothing else
                # All at once, and the last one started first: it may lean on the others.
                for process in reversed(self._processes.values()):
                    self._stop(process, StopWork(process.name, timeout))
                while self._processes:
                    self._turn(None)
            finally:
                self._release()
        letters, self._letters = self._letters, []
        return letters

    # What commands from outside ask for, see `seam.Steerable`; in any thread.

    def pids(self) -> dict[str, int]:
        """Return the ids of the processes of the works that have one, by name."""
        return {name: process.pid for name, process in list(self._processes.items()) if process.pid}

    def take_wish(self, wish: Wish) -> None:
        """Begin to end a process, and let the next `wait` say so."""
        process = self._processes.get(wish.work)  # now: when the wish is heard, another may have its name
        self._wishes.append(wish)
        self._loop.ring()
        if process is not None:
            process.begin_end(at_once=wish.timeout == 0)

    def write_stacks(self, work: str) -> None:
        """Let a work write the Python stacks of its threads to its output."""
        process = self._processes.get(work)
        if process is not None:
            process.ask_for_stacks()

    # What signals of the terminal ask for; called in their handlers.

    @property
    def is_ending(self) -> bool:
        """Whether the works are being ended, or an exception is on its way to that."""
        return self._is_closing or self._whole.is_unwinding

    def interrupt(self, error: BaseException) -> None:
        """Raise `error`: now, or at the end of the `send` or `wait` that is under way."""
        self._whole.interrupt(error)

    def kill_all(self) -> None:
        """End all works at once, and wait no longer for a display that stands still."""
        self._is_to_kill_all = True
        self._output.hurry()
        self._loop.ring()

    def suspend(self) -> None:
        """Stop all works, as Ctrl-Z does."""
        for process in list(self._processes.values()):
            process.signal_group(signal.SIGSTOP)

    def resume(self, seconds: float) -> None:
        """Let all works go on that were stopped `seconds` ago."""
        for process in list(self._processes.values()):
            process.signal_group(signal.SIGCONT)
        for ladder in list(self._ladders.values()):
            ladder.due += seconds

    # The beginning of a process.

    def _start(self, request: StartWork) -> None:
        """Send what the work is to its process, which may have been begun already, or may have failed to."""
        if request.work in self._prepared:
            process = self._prepared.pop(request.work)
        else:
            process = self._prepare(request)
        if process is not None:
            process.calls.put_bytes(request.host)
            self._loop.push(process.calls)

    def _prepare(self, request: PrepareWork | StartWork) -> WorkProcess | None:
        """Begin with a process, and return it unless the system refuses."""
        name = request.work
        if self._is_closed:
            raise RunnerError(f"{name} can't start: its runner is closed, or belongs to another process.")
        if name in self._processes:
            raise RunnerError(f"{name} has a process already, and that has not exited yet.")
        env = {**os.environ, settings.ROOT_VARIABLE: self._root, **(request.env or {})}
        try:
            output = self._output.attach(name)
            try:
                process = WorkProcess(name, env, output, self._guardian, self._origin_of(env))
            except BaseException:
                os.close(output)
                raise
        except (OSError, RuntimeError) as error:
            self._output.detach(name)
            self._letters += _start_failed(name, error), WorkExited(name, None)
            return None
        self._processes[name] = process
        self._loop.watch(process.letters, partial(self._hear, process))
        setup = describe_heritage(request.cwd) | {"root": self._root, "durable": self._durable}
        setup |= {"preload": self._preload}
        if process.origin is self._server:
            setup |= {"work": name, "env": env}  # the others are started with them
        process.calls.put_bytes(marshal.dumps(setup))
        self._loop.push(process.calls)
        self._launcher.launch(process)
        return process

    def _origin_of(self, env: dict[str, str]) -> Origin:
        if self._server is not None and self._server.suits(env):
            return self._server
        return self._spawner

    def _hear_launch(self, process: WorkProcess) -> None:
        """Take note of a process that is up, or never will be; called in the launcher's thread."""
        self._launched.append(process)
        self._loop.ring()

    def _hear_bell(self) -> None:
        self._take_wishes()
        self._take_launched()

    def _take_wishes(self) -> None:
        while self._wishes:
            self._letters.append(self._wishes.popleft())

    def _take_launched(self) -> None:
        while self._launched:
            process = self._launched.popleft()
            if process.start_error is not None:
                self._letters.append(_start_failed(process.name, process.start_error))
            if process.start_error is not None or not process.pid:
                self._bury(process)
            elif process.sentinel >= 0:
                self._loop.watch(process.sentinel, partial(self._bury, process))

    # The end of a process.

    def _stop(self, process: WorkProcess, request: StopWork) -> None:
        self._tell(process, request)
        process.begin_end(at_once=False)
        due = monotonic() + request.timeout
        ladder = self._ladders.setdefault(process, Ladder(process, due))
        ladder.due = min(ladder.due, due)

    def _kill(self, process: WorkProcess) -> None:
        process.is_doomed = True
        self._ladders[process] = Ladder(process, monotonic(), is_patient=False)
        self._climb()

    def _climb(self) -> None:
        now = monotonic()
        for process, ladder in list(self._ladders.items()):
            if not ladder.climb(now):
                process.abandon()
                self._bury(process)

    def _bury(self, process: WorkProcess) -> None:
        """Let nothing of a process be left, and report its end behind everything that it has sent."""
        while self._read(process):
            pass
        exitcode = process.reap()
        self._lender.forget(process)
        self._output.detach(process.name)
        for writer in (process.calls, process.control):
            self._loop.drop(writer)
        for fd in (process.letters, process.sentinel):
            self._loop.unwatch(fd)
        process.close()
        self._ladders.pop(process, None)
        self._prepared.pop(process.name, None)
        del self._processes[process.name]
        self._take_wishes()  # what has led to this end stands before it
        self._letters.append(WorkExited(process.name, exitcode, process.detail))

    def _release(self) -> None:
        """Give everything back; what is still there, because the closing was cut, is killed."""
        self._is_closed = True
        for process in self._processes.values():
            process.is_doomed = True
        self._launcher.close()
        self._take_launched()
        for process in list(self._processes.values()):
            self._bury(process)
        if self._server is not None:
            self._server.close()
        self._guardian.close()
        self._output.close()
        self._loop.close()

    def disown_all(self) -> None:
        """Hold nothing of the works any more, in a process that this one has forked: they are not its own."""
        if not self._is_closed:
            self._is_closed = True
            for process in self._processes.values():
                process.disown()
            self._processes.clear()
            if self._server is not None:
                self._server.disown()
            self._guardian.disown()
            self._loop.close()

    # One turn of the loop.

    def _has_news(self) -> bool:
        return bool(self._letters) or self._is_awake or self._whole.is_interrupted

    def _turn(self, timeout: float | None) -> None:
        """Wait until something happens or a deadline is due, and do what follows from it."""
        if self._ladders:
            due = max(0.0, min(ladder.due for ladder in self._ladders.values()) - monotonic())
            timeout = due if timeout is None else min(due, timeout)
        self._loop.turn(timeout)
        if self._is_to_kill_all:
            self._is_to_kill_all = False
            for process in list(self._processes.values()):
                self._kill(process)
        if self._ladders:
            self._climb()

    def _tell(
        self, process: WorkProcess, letter: StopWork | WriteState | AcknowledgeState | TerminalLent
    ) -> None:
        """Send a letter that is for the helper thread of the work."""
        process.control.put(letter)
        self._loop.push(process.control)

    def _hear(self, process: WorkProcess) -> None:
        self._read(process)
        if process.is_mute:
            # A process that can't report any more is of no use; most often it is just exiting.
            self._loop.unwatch(process.letters)
            process.signal_group(signal.SIGKILL)
            if process.sentinel < 0:
                self._bury(process)

    def _read(self, process: WorkProcess) -> bool:
        """Take what has arrived from a process; return whether there may be more at once."""
        letters, has_more = process.read()
        for letter in letters:
            kind = type(letter)
            if kind is TerminalWanted or kind is TerminalReturned:
                self._lender.hear(process, letter)
                continue
            if kind is RunEnded:
                # What a call has printed is shown before its end is acted on.
                self._lender.end_call(process)
                self._output.flush(process.name)
            self._letters.append(letter)
        return has_more


def _start_failed(work: str, error: Exception) -> StartFailed:
    message = f"{work} could not start: {name_limit(error)}"
    return StartFailed(work, Failure("start_failed", message, error=pack(RunnerError(message))))


_runners: WeakSet[ProcessRunner] = WeakSet()


def _disown_after_fork() -> None:
    for runner in list(_runners):
        runner.disown_all()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown_after_fork)
