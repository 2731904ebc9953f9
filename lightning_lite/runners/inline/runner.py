"""The inline runner: works run in the flow's own process, for debugging and for tests.

    flow's thread    send(StartWork, RunCall, ...) ─▶ job ─▶ wait() runs it      works that are not parallel
                                     │
    thread of a work                 └──────────────▶ job ─▶ the thread runs it  parallel works
                     wait() ◀── reports ── queue ◀──┘

The code of a work that is not parallel runs in `wait`, in the flow's thread, so that `breakpoint()` and `pdb`
work there; nothing else happens until the user continues. Without a process, a call can't be killed, a stop
interrupts a call only at its next change of state, and works share environment, working directory and modules
with the flow.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections import deque
from collections.abc import Sequence
from queue import Empty, SimpleQueue
from threading import get_ident
from time import monotonic
from typing import ClassVar, assert_never

from lightning_lite.context import Caller
from lightning_lite.errors import RunnerError
from lightning_lite.main_messages import (
    DumpStack,
    ExternalRequest,
    KillWork,
    PrepareWork,
    Report,
    Request,
    StartWork,
    WorkExited,
)
from lightning_lite.messages import (
    AcknowledgeState,
    RunCall,
    RunEnded,
    StateChanged,
    StopWork,
    WriteState,
)
from lightning_lite.process_places import Place
from lightning_lite.runners.base import Runner, RunnerOptions, start_failed
from lightning_lite.runners.inline.work import Connections, InlineWork, Job
from lightning_lite.runners.inline.work_streams import WorkStreams
from lightning_lite.runners.output.pump import Display, OutputPump

_log = logging.getLogger("lightning_lite")


class InlineRunner(Runner):
    """Runs all works in the flow's own process.

    Args:
        options: The options; start method and modules have no effect.
        display: Where the output of works is shown, or `None` for nowhere.
    """

    can_suspend: ClassVar[bool] = True  # works are in the process that Ctrl-Z stops
    can_take_external: ClassVar[bool] = True
    can_write_stacks: ClassVar[bool] = True

    def __init__(self, options: RunnerOptions, display: Display | None = None) -> None:
        self._options = options
        self._works: dict[str, InlineWork] = {}
        self._jobs: deque[Job] = deque()
        # `SimpleQueue`, because threads and signal handlers may put into it. `None` only wakes the reader.
        self._arrived: SimpleQueue[Report | InlineWork | None] = SimpleQueue()
        # Monotonic time of the next `report_changes` of each parallel work.
        self._reports_due: dict[InlineWork, float] = {}
        self._is_awake = False
        self._has_skipped_job = False  # the last `wait` has returned with a job left
        self._output = OutputPump(options.logs, display)
        self._streams = WorkStreams(self._output, display)
        self._is_closing = False
        self._interruption: BaseException | None = None  # `wait` has to raise it
        self._is_interrupted = False
        self._undelivered: list[Report] = []  # reports that came with it
        self._is_taking = False
        self._is_in_job = False
        self._is_killing = False

    def send(self, request: Request) -> None:
        """Accept one request to a work or about its process; see `Runner`."""
        if isinstance(request, PrepareWork):
            return  # there is no process to start early
        if isinstance(request, StartWork):
            self._start(request)
            return
        work = self._works.get(request.work)
        if work is None:
            return  # it has exited, and `wait` has returned that
        match request:
            case RunCall():
                work.run(request)
            case WriteState() | AcknowledgeState():
                work.receive(request)
            case StopWork():
                work.stop(gracefully=True)
            case KillWork():
                work.stop(gracefully=False)
            case DumpStack():
                self.write_stacks(request.work)
            case _:
                assert_never(request)

    def wait(self, timeout: float | None) -> Sequence[Report]:
        """Wait for the first report, and return all that have arrived; see `Runner`.

        If there is none, this runs one job of a work that is not parallel, for as long as it takes.
        """
        until = None if timeout is None else monotonic() + timeout
        pause: float | None = 0.0
        while True:
            messages = self._take(pause)
            if self._interruption is not None:
                self._undelivered = messages
                error, self._interruption = self._interruption, None
                raise error
            # At most once in a row without a job: a test clock may wake each turn, so that works starve.
            if messages or (self._is_awake and not (self._jobs and self._has_skipped_job)):
                self._is_awake = False
                self._has_skipped_job = bool(self._jobs)
                return messages
            if self._jobs:
                self._has_skipped_job = False
                self._run_job()
                pause = 0.0
                continue
            self._report_changes()
            now = monotonic()
            if until is not None and now >= until:
                return self._take(0.0)
            dues = [*self._reports_due.values()] if until is None else [until, *self._reports_due.values()]
            pause = max(0.0, min(dues) - now) if dues else None

    def wake(self) -> None:
        """Make the current or the next `wait` return; callable from any thread and signal handler."""
        self._is_awake = True
        self._arrived.put(None)

    def close(self, timeout: float) -> Sequence[Report]:
        """Stop all works; the thread of a work that takes longer than `timeout` seconds continues."""
        if self._is_closing:
            return []
        self._is_closing = True
        messages = self._undelivered
        until = monotonic() + timeout
        try:
            for work in reversed(self._works.values()):
                work.stop(gracefully=True)
            while self._works:
                is_patient = not self._jobs and not self._is_killing
                messages += self._take(max(0.0, until - monotonic()) if is_patient else 0.0)
                if self._jobs:
                    self._run_job()
                elif self._is_killing or monotonic() >= until:
                    break
            messages += map(self._abandon, self._works)
        finally:
            self._streams.close()
            self._output.close()
        return messages

    # Commands from other terminals; called in any thread.

    def places(self) -> dict[str, Place]:
        """Return the place of this process for each work that is up."""
        return dict.fromkeys(list(self._works), Place.of(os.getpid()))

    def take_external(self, external: ExternalRequest) -> None:
        """Start to interrupt a call, and make the next `wait` return the request."""
        work = self._works.get(external.work)
        self._arrived.put(external)
        if work is not None:
            work.stop(gracefully=True)

    def write_stacks(self, work: str) -> None:
        """Write the stacks of all threads of this process to the output of a work."""
        self._output.feed(work, _stacks().encode())

    # Signals; called in their handlers.

    @property
    def is_ending(self) -> bool:
        """Whether the works are being stopped, or an exception that leads to it is under way."""
        return self._is_closing or self._is_interrupted

    def interrupt(self, error: BaseException) -> None:
        """Raise `error` in the flow's thread, which calls this: now, or after the reports are taken.

        The work side handles it like an exception of the work. So `wait` raises it again, and the call
        was interrupted, not failed.
        """
        self._interruption, self._is_interrupted = error, True
        if not self._is_taking:
            raise error
        self._arrived.put(None)

    def kill_all(self) -> None:
        """Wait for no work any longer, and interrupt the one that runs in the flow's thread."""
        self._is_killing = True
        self._arrived.put(None)
        if self._is_in_job:
            raise KeyboardInterrupt

    # Jobs and reports.

    def _start(self, request: StartWork) -> None:
        name = request.work
        if name in self._works:
            raise RunnerError(f"{name} has been started already, and it has not exited yet")
        if request.env or request.cwd is not None:
            self._refuse(name, 'env= and cwd= of a work need a process of its own: use runner="processes"')
            return
        self._output.open(name)
        connections = Connections(self._jobs.append, self._report, self._arrived.put)
        options = self._options
        caller = Caller(
            "work",
            name,
            options.root_dir,
            options.durable,
            options.values,
            drives=options.drives,
            session=options.session,
        )
        work = InlineWork(name, caller, connections, parallel=request.parallel)
        try:
            work.start(request)
        except RuntimeError as error:
            self._refuse(name, str(error))
            return
        self._works[name] = work

    def _refuse(self, name: str, why: str) -> None:
        self._report(start_failed(name, why))
        self._report(WorkExited(name, None))

    def _report(self, message: Report) -> None:
        """Accept a report of a work, from any thread; the output before it is shown first."""
        if type(message) is RunEnded:
            self._streams.resume_display()
            self._output.flush(message.work)
            if (
                message.failure is not None
                and self._interruption is not None
                and self._runs_here(message.work)
            ):
                message = StateChanged(message.work, message.changes, message.applied)
        elif type(message) is WorkExited:
            self._output.detach(message.work)
        self._arrived.put(message)

    def _runs_here(self, name: str) -> bool:
        work = self._works.get(name)
        return work is not None and not work.is_parallel

    def _take(self, timeout: float | None) -> list[Report]:
        """Return the reports that are there; wait for the first one, or for `wake`."""
        messages: list[Report] = []
        self._is_taking = True
        try:
            item = self._arrived.get(timeout=timeout)
            while True:
                if isinstance(item, InlineWork):
                    self._reports_due[item] = monotonic()
                elif item is not None:
                    messages.append(item)
                    if type(item) is WorkExited:
                        self._forget(item.work)
                item = self._arrived.get_nowait()
        except Empty:
            return messages
        finally:
            self._is_taking = False

    def _forget(self, name: str) -> None:
        work = self._works.pop(name, None)
        if work is not None:
            self._reports_due.pop(work, None)
            work.join()

    def _run_job(self) -> None:
        job = self._jobs.popleft()
        self._streams.flow_thread = get_ident()
        self._is_in_job = True
        try:
            job()
        finally:
            self._is_in_job = False
            self._streams.resume_display()

    def _report_changes(self) -> None:
        now = monotonic()
        for work in [work for work, due in self._reports_due.items() if due <= now]:
            pause = work.report_changes()
            if pause is None:
                del self._reports_due[work]
            else:
                self._reports_due[work] = now + pause

    def _abandon(self, name: str) -> WorkExited:
        _log.warning(
            "%s still runs in its thread: it can't be interrupted, and changes no state any more. "
            'With runner="processes" it would have been killed.',
            name,
        )
        self._output.detach(name)
        return WorkExited(name, None, "its thread still runs")


def _stacks() -> str:
    """Return the Python stacks of all threads."""
    frames = sys._current_frames()
    texts = [f"Thread {ident}:\n" + "".join(traceback.format_stack(frame)) for ident, frame in frames.items()]
    return "\n".join(texts)
