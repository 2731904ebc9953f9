"""One work of the inline runner: its work side, and a thread if it is parallel."""

from __future__ import annotations

import os
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from queue import SimpleQueue
from typing import NamedTuple

from lightning_lite.context import Caller, acting_as
from lightning_lite.errors import StopRun
from lightning_lite.main_messages import Report, StartWork, WorkExited
from lightning_lite.messages import AcknowledgeState, RunCall, StartFailed, WorkStarted, WriteState
from lightning_lite.process_places import Place
from lightning_lite.runners.base import WorkSide
from lightning_lite.runners.worker.main import end_work, start_failure
from lightning_lite.values.multiprocessing_objects import unpack_shared

#: The next step of a work, run in its thread.
Job = Callable[[], None]


class Connections(NamedTuple):
    """How a work in this process reaches its runner.

    Attributes:
        queue: Accepts jobs for the flow's thread; called there.
        report: Accepts reports, from any thread.
        request_report: Requests a call of `report_changes` soon, from any thread.
    """

    queue: Callable[[Job], None]
    report: Callable[[Report], None]
    request_report: Callable[[InlineWork], None]


class InlineWork:
    """A work in the flow's process: does with threads the task of `worker.main`.

    All methods are called in the flow's thread and return at once. The work's code runs in jobs: in a thread
    of its own if it is parallel, else in the flow's thread while that waits.

    Args:
        name: Name of the work.
        caller: The caller that drives see while its code runs.
        connections: Where its jobs and reports go.
        parallel: Whether it gets a thread of its own.
    """

    def __init__(self, name: str, caller: Caller, connections: Connections, *, parallel: bool) -> None:
        self.name = name
        self._caller = caller
        self._connections = connections
        self._work_side: WorkSide | None = None
        self._is_open = False
        self._is_over = False
        self._switch = threading.Lock()  # guards the next two: a stop interrupts only a call
        self._is_performing = False
        self._is_stopping = False
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._thread = threading.Thread(target=self._live, name=name, daemon=True) if parallel else None

    @property
    def is_parallel(self) -> bool:
        """Whether it has a thread of its own."""
        return self._thread is not None

    def start(self, request: StartWork) -> None:
        """Load the work and run its `on_start`.

        Raises:
            RuntimeError: There are too many threads.
        """
        if self._thread is not None:
            self._thread.start()
        self._queue(partial(self._open, request))

    def run(self, call: RunCall) -> None:
        """Run one attempt of a call."""
        self._queue(partial(self._perform, call))

    def receive(self, message: WriteState | AcknowledgeState) -> None:
        """Handle a message that came while a call runs."""
        if self._thread is None:
            self._queue(partial(self._receive, message))  # after the call that has not begun
        else:
            self._receive(message)

    def report_changes(self) -> float | None:
        """Look for changes inside lists and dicts of a parallel work; see `WorkSide`."""
        return self._work_side.report_changes() if self._is_open and self._work_side is not None else None

    def stop(self, *, gracefully: bool) -> None:
        """End the work; a running call is interrupted at its next change of state.

        Args:
            gracefully: Whether `on_exit` runs and the last changes are sent.
        """
        with self._switch:
            if self._is_performing and self._work_side is not None:
                self._work_side.interrupt()
            self._is_stopping = True
        self._queue(partial(self._end, gracefully=gracefully))

    def join(self) -> None:
        """Wait for the end of its thread, after its last report."""
        if self._thread is not None:
            self._thread.join()

    def _queue(self, job: Job) -> None:
        if self._thread is None:
            self._connections.queue(job)
        else:
            self._jobs.put(job)

    # Called by the work's code, in any thread.

    def _request_report(self) -> None:
        if self._thread is not None:  # else the flow could not see the change before the call has ended
            self._connections.request_report(self)

    # The thread of the work.

    def _live(self) -> None:
        while not self._is_over:
            self._jobs.get()()

    def _open(self, request: StartWork) -> None:
        with acting_as(self._caller):
            try:
                fds = [descriptor.detach() for descriptor in request.descriptors]
                self._work_side = unpack_shared(request.work_side, fds)
                self._work_side.open(self._connections.report, self._request_report)
            except BaseException as error:  # noqa: BLE001 - the flow has to learn of any exception
                self._connections.report(StartFailed(self.name, start_failure(self.name, error)))
                self._exit(1)
                return
        self._is_open = True
        self._connections.report(WorkStarted(self.name, Place.of(os.getpid())))

    def _perform(self, call: RunCall) -> None:
        assert self._work_side is not None
        with self._switch:
            if self._is_stopping or self._is_over:
                return
            self._is_performing = True
        try:
            with acting_as(self._caller):
                self._work_side.perform(call)
        except StopRun:
            pass  # the job that ends the work comes next
        except BaseException:  # noqa: BLE001 - an error of the work side ends the work, as a crash ends a process
            with acting_as(self._caller):  # the traceback is part of its output
                traceback.print_exc()
            self._exit(1)
        finally:
            with self._switch:
                self._is_performing = False

    def _receive(self, message: WriteState | AcknowledgeState) -> None:
        if self._work_side is not None and not self._is_over:
            self._work_side.receive(message)

    def _end(self, *, gracefully: bool) -> None:
        if self._is_over:
            return
        if self._is_open and gracefully and not self._close():
            self._exit(1)
        else:
            self._exit(0)

    def _close(self) -> bool:
        assert self._work_side is not None
        with acting_as(self._caller):
            with suppress(StopRun):
                # An interrupt that came when the call had just ended is still due. It is raised here, so that
                # it does not interrupt `on_exit`.
                self._work_side.report_changes()
            return end_work(self.name, self._work_side)

    def _exit(self, exitcode: int) -> None:
        self._is_over = True
        self._connections.report(WorkExited(self.name, exitcode))
