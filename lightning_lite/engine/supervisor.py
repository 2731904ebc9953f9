"""Supervises the works: their processes, queues of calls, retries, timeouts and restarts.

    absent ──StartWork──▶ starting ──WorkStarted──▶ up ──StopWork──▶ stopping ──WorkExited──▶ absent
       ▲                      │                     │
       └──────WorkExited──────┴─────────────────────┘   it died: the running attempt has failed

`Supervisors` has all of them, and decides the order in which they send their calls. One call of a work runs
at a time; its other calls wait in the queue. Like the machine, a supervisor has no side effects: it takes
reports and the time, and returns requests.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Literal

from lightning_lite import timeouts
from lightning_lite.clock import Moment
from lightning_lite.engine.failure_messages import describe_call
from lightning_lite.engine.state_sync import StateSync
from lightning_lite.engine.timers import Timers
from lightning_lite.engine.work_pickling import pack_work_machine
from lightning_lite.errors import RestartLimitReached
from lightning_lite.events import (
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    ProcessStarted,
    WorkEvent,
    WorkStatusChanged,
    is_below,
)
from lightning_lite.main_messages import DumpStack, KillWork, Request, StartWork, WorkExited
from lightning_lite.masking import mask_failure
from lightning_lite.messages import Failure, RunCall, RunEnded, StopWork, WorkStarted, WriteState
from lightning_lite.process_places import Place
from lightning_lite.quantity_text import format_seconds
from lightning_lite.resources import DEFAULT_KIND, Resources, resources_of
from lightning_lite.runners.exit_status import describe_exit
from lightning_lite.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.tree.calls import Call, CallRecords, error_of
from lightning_lite.tree.outbox import Outbox
from lightning_lite.tree.policy import WorkPolicy
from lightning_lite.tree.work import LightningWork
from lightning_lite.values import secret_texts
from lightning_lite.values.pickling import is_reference
from lightning_lite.values.secret import reveal_environment

_log = logging.getLogger("lightning_lite")


class Supervisor:
    """Runs the calls of one work one after the other, and replaces its process when that dies.

    Args:
        work: The work.
        outbox: Receives the events of the calls and of the process.
        requests: Receives the requests to send.
        slots: Limits how many works run a call at the same time.
        kinds: See `Machine`.
        blocked: Whether the process of an earlier work of this name has to end first.

    Attributes:
        work: The work.
        name: Name of the work; a work that was removed from the tree has none.
        error: The exception that must end the app, or `None`.
        began: When its last attempt was sent, or `None`.
        state_sync: Exchanges attribute values with the process of the work.
        running: The call whose attempt was sent and has not ended, or `None`.
        timer: When `tick` must be called, in monotonic seconds, as `Supervisors` has set it; or `None`.
    """

    def __init__(
        self,
        work: LightningWork,
        outbox: Outbox,
        requests: list[Request],
        slots: Slots,
        kinds: Mapping[str, Resources] | None = None,
        *,
        blocked: bool = False,
    ) -> None:
        self.work = work
        self.name = work.name
        self.error: BaseException | None = None
        self.state_sync = StateSync(work, outbox)
        self._outbox = outbox
        self._requests = requests
        self._slots = slots
        self._kinds = kinds
        self.running: Call | None = None
        self.began: Moment | None = None
        self.timer: float | None = None
        self._records: CallRecords = work._records
        self._policy = work._policy
        self._process: Literal["absent", "starting", "up", "stopping", "blocked"]
        self._process = "blocked" if blocked else "absent"
        self._place: Place | None = None
        self._wanted = False  # a process was requested, without a call
        self._queue = CallQueue()
        self._deadline: float | None = None
        self._ending: Failure | Literal["stop", "restart"] | None = None  # why the process is being ended
        self._start_failure: Failure | None = None
        self._deaths = DeathCounter(work.name, work._policy)

    @property
    def is_busy(self) -> bool:
        """Whether a call or a change of the process is pending, so that a report will follow."""
        return bool(self.running or self._queue or self._wanted or self._process in ("starting", "stopping"))

    @property
    def has_process(self) -> bool:
        """Whether the work has a process: starting, up or stopping."""
        return self._process in ("starting", "up", "stopping")

    @property
    def wake_at(self) -> float | None:
        """When `tick` must be called, in monotonic seconds, or `None`."""
        if self.running is not None:
            return self._deadline
        # A process that starts or stops sends a report when that is done, so no timer is needed.
        return self._queue.due if self._process in ("absent", "up") else None

    def is_ready(self, now: Moment) -> bool:
        """Return whether its next call can be sent now."""
        return self._process == "up" and self.running is None and self._queue.is_due(now.monotonic)

    # Requests of the flow.

    def ask_start(self, now: Moment) -> None:
        """Start a process, without a call, unless there is one."""
        self._wanted = self._process != "up"
        self._ensure_process(now)

    def ask_call(self, call: Call, now: Moment) -> None:
        """Queue a call, and start a process if there is none."""
        self._queue.add(call)
        self._ensure_process(now)

    def ask_stop(self, timeout: float, now: Moment) -> None:
        """End the process, and stop all calls that have not ended."""
        self._wanted = False
        self._queue.interrupt_waiting()
        self._end_process("stop", timeout)
        if not self.has_process:
            self._end_stopped(now)

    def ask_restart(self, timeout: float, now: Moment) -> None:
        """End the process and start a new one; a running call is run again."""
        self._wanted = True
        self._end_process("restart", timeout)
        self._ensure_process(now)

    def ask_stacks(self) -> None:
        """Let the process write the Python stacks of its threads to its output."""
        if self.has_process:
            self._requests.append(DumpStack(self.name))

    def ask_write(self, names: set[str]) -> None:
        """Send attributes that the flow wrote: now if a call runs, else with the next call."""
        self.state_sync.add(names)
        if self.running is not None and self._process == "up":
            self._requests.append(WriteState(self.name, self.state_sync.unconfirmed, self.state_sync.newest))

    def unblock(self, now: Moment) -> None:
        """Allow a process: the process of the earlier work with this name has exited."""
        if self._process == "blocked":
            self._process = "absent"
            self._ensure_process(now)

    def abandon(self, now: Moment) -> None:
        """Stop all calls that have not ended, because the app has ended."""
        if (call := self._end_attempt()) is not None:
            self._queue.interrupt(call)
        self._queue.interrupt_waiting()
        self._end_interrupted(now)

    def dispatch(self, now: Moment) -> None:
        """Send the next call; call it only if `is_ready`."""
        call = self.running = self._queue.take()
        self._slots.num_free -= 1
        call.attempt += 1
        self.began = now
        self._deadline = None if self._policy.timeout is None else now.monotonic + self._policy.timeout
        self._emit_status(call, WorkStageStatus.RUNNING, now)
        sync = self.state_sync
        self._requests.append(
            RunCall(
                self.name,
                call.key,
                call.attempt,
                call.arguments,
                sync.unconfirmed,
                sync.newest,
                secret_texts.texts_in(call.arguments) if secret_texts.is_in_use else None,
            )
        )

    # Reports of the runner and of the work.

    def started(self, report: WorkStarted, now: Moment) -> None:
        """Handle the report that the process is up."""
        self._place = report.place
        self.work._node_address = report.address
        if self._process == "starting":
            self._process = "up"
            self._wanted = False
            self._outbox.emit(self.work, ProcessStarted(self.work.name, now.wall, report.place))
            self._emit_status(None, WorkStageStatus.STARTED, now)

    def run_ended(self, message: RunEnded, now: Moment) -> None:
        """Handle the report that an attempt has returned or raised."""
        if message.changes or self.state_sync.unconfirmed:
            self.state_sync.take(message.changes, message.applied)
        call = self.running
        if call is None or call.key != message.key or call.attempt != message.attempt:  # it came too late
            if message.value is not None and is_reference(message.value):
                self._outbox.unneeded.append(message.value)
            return
        self._end_attempt()
        if message.failure is not None:
            self._attempt_failed(call, message.failure, now)
        elif message.value is not None:
            self._status_changed(call, WorkStageStatus.SUCCEEDED, "")
            self._outbox.release(call)
            event = CallSucceeded(self.work._node.name, call.key, now.wall, message.value)
            self._outbox.emit(self.work, event)

    def start_failed(self, failure: Failure) -> None:
        """Handle the report that the process failed to start; `exited` follows."""
        self._start_failure = failure

    def exited(self, report: WorkExited, now: Moment) -> None:
        """Handle the report that the process has exited."""
        was, self._process = self._process, "absent"
        ending, self._ending = self._ending, None
        failure, self._start_failure = self._start_failure, None
        call = self._end_attempt()
        self.state_sync.forget()  # the next process starts with the current state of the flow
        self.work._url = self.work._node_address = ""  # its server ended with the process
        if ending == "restart" and call is not None:
            self._queue.put_back(call)
            self._emit_status(call, WorkStageStatus.PENDING, now)
        elif ending in ("stop", "restart"):
            if call is not None:
                self._queue.interrupt(call)
            self._end_stopped(now)
        elif isinstance(ending, Failure):
            if call is not None:
                self._attempt_failed(call, ending, now)
        else:
            if failure is None:
                during = ""
                if call is not None and self.began is not None:
                    seconds = now.monotonic - self.began.monotonic
                    during = f"{format_seconds(seconds)} in {self._describe(call)}"
                failure = describe_death(report, self._place, during, was_starting=was == "starting")
            failure = mask_failure(failure)
            self._deaths.add(now.monotonic, failure)
            self._died(failure, was, call, now)
        self._place = None
        self._ensure_process(now)

    def tick(self, now: Moment) -> None:
        """Handle a due timer: end an attempt that exceeded its timeout, or start a retry."""
        if self.running is not None and self._deadline is not None and now.monotonic >= self._deadline:
            self._deadline = None
            message = (
                f"{self._describe(self.running)} took longer than its timeout of "
                f"{self._policy.timeout:g} s and was ended"
            )
            self._end_process(Failure(WorkFailureReasons.TIMEOUT, message), 0.0)
        self._ensure_process(now)

    # Helpers.

    def _end_attempt(self) -> Call | None:
        """Return the running call, or `None`, and free its slot."""
        call, self.running = self.running, None
        if call is not None:
            self._slots.num_free += 1
        return call

    def _ensure_process(self, now: Moment) -> None:
        """Start a process if one is needed and there is none."""
        if self._process != "absent":
            return
        needed = self._wanted or self._queue.is_due(now.monotonic)
        if not needed or self.error is not None:
            return
        self.error = self._deaths.error(now.monotonic)
        if self.error is not None:
            return
        policy = self._policy
        env = reveal_environment(policy.env, self.name)
        work_side, descriptors = pack_work_machine(self.work)
        self._requests.append(
            StartWork(
                self.name,
                work_side,
                policy.parallel,
                env,
                policy.cwd,
                descriptors,
                secret_texts.texts_in(work_side),
                needs_of(self.work, self._kinds),
            )
        )
        self._process = "starting"

    def _end_process(self, why: Failure | Literal["stop", "restart"], timeout: float) -> None:
        """Request the end of the process, and remember why."""
        if not self.has_process:
            return
        if self._process != "stopping" or timeout == 0:
            self._requests.append(StopWork(self.name, timeout) if timeout > 0 else KillWork(self.name))
        if self._process != "stopping" or why == "stop":
            self._ending = why
        self._process = "stopping"
        self._deadline = None

    def _died(self, failure: Failure, was: str, call: Call | None, now: Moment) -> None:
        """Handle the exit of a process that was not requested."""
        is_lost = failure.reason == WorkFailureReasons.LOST
        if call is None and was == "starting" and self._queue and not is_lost:
            call = self._queue.take()
            call.attempt += 1
        if call is not None:
            self._attempt_failed(call, failure, now)
            return
        # Without a call nothing is lost, and the next call starts a new process. But if the process can't
        # start, the app fails: the flow would wait for this work forever. If it was lost with its node, the
        # next one starts on another, within `max_restarts`; a call that waits for it has lost no attempt.
        self._wanted = was == "starting" and is_lost
        self._emit_status(None, WorkStageStatus.FAILED, now, failure)
        if was == "starting" and not self._wanted and self._policy.raise_exception:
            self.error = error_of(failure, self.name)
        else:
            next_start = "a new process starts" if self._wanted else "the next call starts a new process"
            _log.warning("%s; %s", failure.message, next_start)

    def _attempt_failed(self, call: Call, failure: Failure, now: Moment) -> None:
        """Retry a call after a failed attempt; after the last attempt, end the call or the app."""
        # Not `call.attempt`: an attempt that a restart has interrupted did not fail.
        num_failed = 1 + sum(status.stage == WorkStageStatus.FAILED for status in call.statuses)
        attempt = f", attempt {num_failed} of {self._policy.retries + 1}" if self._policy.retries else ""
        # Again, as in the process of the work: only this process knows the secrets of all works.
        failure = mask_failure(failure._replace(message=f"{failure.message}{attempt}"))
        self._emit_status(call, WorkStageStatus.FAILED, now, failure)
        if num_failed <= self._policy.retries:
            if self._ending == "stop":
                self._queue.interrupt(call)
                return
            delay = self._policy.delay_after(num_failed)
            self._queue.put_back(call, now.monotonic + delay)
            _log.warning("%s; the next one follows in %s", failure.message, format_seconds(delay))
            self._emit_status(call, WorkStageStatus.PENDING, now)
            return
        goes_on = failure.captured if failure.captured is not None else not self._policy.raise_exception
        # Before `call.fail` deletes the arguments.
        where = "" if goes_on else f"{self._describe(call)}{attempt}"
        if goes_on:
            self._outbox.release(call)
            self._outbox.emit(self.work, CallFailed(self.work._node.name, call.key, now.wall, failure))
        else:
            call.fail(failure)  # no event, so that a resumed app runs the call again
            self.error = error_of(failure, self.name, where)

    def _end_stopped(self, now: Moment) -> None:
        """Handle the exit of a process that the flow has stopped."""
        self._end_interrupted(now)
        # Only if it is news: a flow that stops a work in each pass would run forever.
        if self._records.status.stage != WorkStageStatus.STOPPED:
            self._emit_status(None, WorkStageStatus.STOPPED, now)

    def _end_interrupted(self, now: Moment) -> None:
        """End all calls that a stop has interrupted."""
        while (call := self._queue.take_interrupted()) is not None:
            self._outbox.release(call)
            call.fail(Failure("stopped", f"{self._describe(call)} was interrupted by a stop"))
            self._emit_status(call, WorkStageStatus.STOPPED, now)

    def _describe(self, call: Call) -> str:
        return describe_call(self.name, call.arguments)

    def _emit_status(
        self, call: Call | None, stage: str, now: Moment, failure: Failure | None = None
    ) -> None:
        """Emit a new status of a call, or of the process if `call` is `None`."""
        reason, message, trace = failure[:3] if failure is not None else (None, "", "")
        if call is None:
            status = WorkStatus(stage, now.wall, reason, message, 0, trace)
            event: WorkEvent = WorkStatusChanged(self.work._node.name, now.wall, status)
        else:
            status = WorkStatus(stage, now.wall, reason, message, call.attempt, trace)
            event = CallStatusChanged(self.work._node.name, call.key, now.wall, call.number, status)
        self._status_changed(call, stage, message)
        self._outbox.emit(self.work, event)

    def _status_changed(self, call: Call | None, stage: str, message: str) -> None:
        """Request a pass if the flow has read the status, and write it to the debug log."""
        if self._records.was_read:
            self._outbox.changed(f"{self.name}: {stage}", self.name)
        if self._outbox.explain is not None:
            what = f"{self.name}, call {call.number}" if call is not None else self.name
            _log.debug("%s: %s%s", what, stage, f", {message}" if message else "")


class Slots:
    """The number of further calls that may run at the same time, of all works together.

    Args:
        limit: Number of calls that may run at the same time, or `None` for no limit.

    Attributes:
        num_free: How many more may start now.
    """

    def __init__(self, limit: int | None) -> None:
        self.num_free: float = float("inf") if limit is None else limit


class CallQueue:
    """The calls of one work in the order in which they are sent, and those that a stop has interrupted."""

    def __init__(self) -> None:
        self._waiting: deque[Call] = deque()
        self._not_before = 0.0
        self._interrupted: deque[Call] = deque()

    def __bool__(self) -> bool:
        """Return whether calls are waiting."""
        return bool(self._waiting)

    @property
    def due(self) -> float | None:
        """When the delay before a retry ends, in monotonic seconds; `None` if there is no delay."""
        return self._not_before if self._waiting and self._not_before else None

    def is_due(self, now: float) -> bool:
        """Return whether the next call may be sent."""
        return bool(self._waiting) and now >= self._not_before

    def add(self, call: Call) -> None:
        """Append a call."""
        self._waiting.append(call)

    def put_back(self, call: Call, not_before: float = 0.0) -> None:
        """Make a call that was taken the next one again, at the given monotonic time or later."""
        self._waiting.appendleft(call)
        self._not_before = not_before

    def take(self) -> Call:
        """Remove the next call and return it."""
        self._not_before = 0.0
        return self._waiting.popleft()

    def interrupt(self, call: Call) -> None:
        """Add a sent call to the interrupted ones, which end as stopped when the process has exited."""
        self._interrupted.append(call)

    def interrupt_waiting(self) -> None:
        """Move all waiting calls to the interrupted ones, and cancel the delay."""
        self._interrupted += self._waiting
        self._waiting.clear()
        self._not_before = 0.0

    def take_interrupted(self) -> Call | None:
        """Remove one interrupted call and return it, or return `None`.

        One by one, so that an exception in the caller does not lose the others.
        """
        return self._interrupted.popleft() if self._interrupted else None


class DeathCounter:
    """Counts unexpected exits of the processes of one work, and enforces `max_restarts` of its policy.

    Args:
        work: Name of the work.
        policy: The policy of the work.
    """

    def __init__(self, work: str, policy: WorkPolicy) -> None:
        self._work = work
        self._policy = policy
        self._deaths: deque[tuple[float, Failure]] = deque()

    def add(self, now: float, failure: Failure) -> None:
        """Count one exit.

        Args:
            now: Monotonic time, in seconds.
            failure: Says how the process died, without secrets.
        """
        self._deaths.append((now, failure))

    def error(self, now: float) -> RestartLimitReached | None:
        """Return the error that must end the app if the limit is exceeded, else `None`.

        Args:
            now: Monotonic time, in seconds.
        """
        deaths, policy = self._deaths, self._policy
        while deaths and deaths[0][0] <= now - policy.restart_period:
            deaths.popleft()
        if len(deaths) <= policy.max_restarts:
            return None
        _, last = deaths[-1]
        return RestartLimitReached(
            f"The process of {self._work} died {len(deaths)} times within {policy.restart_period:g} s "
            f"(max_restarts={policy.max_restarts}; if such deaths are expected, give the work a higher one); "
            f"last: {last.message}",
            work=self._work,
            reason=last.reason,
        )


def needs_of(work: LightningWork, kinds: Mapping[str, Resources] | None) -> Resources | None:
    """Return the resources that a work asks of its machine.

    Args:
        work: The work.
        kinds: See `Machine`.

    Returns:
        The meaning of its `CloudCompute`; `None` if the runner does not ask.
    """
    if kinds is None:
        return None
    compute = work.cloud_compute
    kind = DEFAULT_KIND if compute.is_default() else compute.name
    return resources_of(kind, compute.colocation_group_id, kinds)


def describe_death(report: WorkExited, place: Place | None, during: str, *, was_starting: bool) -> Failure:
    """Return the failure that the unexpected exit of a process causes.

    Args:
        report: The report of its exit.
        place: The place of the process, if it was up.
        during: Duration and description of the running call; "" if there was none.
        was_starting: Whether it was not up yet.
    """
    number = f" (pid {place.pid})" if place is not None else ""
    if place is not None and not place.is_here():
        number = f" (pid {place.pid} on {place.host})"
    when = f"after {during}" if during else "while it started" if was_starting else "while idle"
    process = f"The process of {report.work}{number}"
    if report.lost:
        return Failure(WorkFailureReasons.LOST, f"{process} was lost {when}: {report.lost}")
    how = describe_exit(report.exitcode) + (f" ({report.detail})" if report.detail else "")
    reason = WorkFailureReasons.START_FAILED if was_starting else WorkFailureReasons.CRASHED
    return Failure(reason, f"{process} ended with {how} {when}")


class Supervisors:
    """Holds one supervisor for each work, and in each step processes only those that have changed.

    Args:
        outbox: Receives the events of the supervisors.
        timers: Holds the timer of each supervisor, under the name of its work.
        requests: Receives the requests of the supervisors.
        max_running: Number of works that may run a call at the same time, or `None` for no limit.
        kinds: See `Machine`.
    """

    def __init__(
        self,
        outbox: Outbox,
        timers: Timers,
        requests: list[Request],
        max_running: int | None,
        kinds: Mapping[str, Resources] | None = None,
    ) -> None:
        self._outbox = outbox
        self._timers = timers
        self._requests = requests
        self._slots = Slots(max_running)
        self._kinds = kinds
        self._supervisors: dict[str, Supervisor] = {}
        self._retiring: dict[str, Supervisor] = {}  # their works are removed, their processes still run
        self._active: dict[Supervisor, None] = {}  # changed in this step
        self._held: dict[Supervisor, None] = {}  # ready, but waiting for `max_running`, oldest first
        self._busy: set[str] = set()

    @property
    def is_busy(self) -> bool:
        """Whether a supervisor waits for a report."""
        return bool(self._busy)

    @property
    def may_serve(self) -> bool:
        """Whether a process may have a server that outlives its call: the work has a port."""
        return any(
            supervisor.has_process and supervisor.work._port is not None
            for supervisor in self._supervisors.values()
        )

    def all(self) -> list[Supervisor]:
        """Return the supervisors of all works in the tree."""
        return list(self._supervisors.values())

    def find(self, name: str) -> Supervisor | None:
        """Return the supervisor of the work `name` in the tree, or `None`."""
        return self._supervisors.get(name)

    def find_for_report(self, name: str) -> Supervisor | None:
        """Return the supervisor of the process `name`, also of a removed work; register that it changes."""
        supervisor = self._retiring.get(name) or self._supervisors.get(name)
        if supervisor is not None:
            self._active[supervisor] = None
        return supervisor

    def has(self, supervisor: Supervisor) -> bool:
        """Return whether its work is in the tree; after a removal, another work may have its name."""
        return self._supervisors.get(supervisor.name) is supervisor

    def supervise(self, work: LightningWork) -> Supervisor:
        """Return the supervisor of a work; create it for a new work."""
        name = work._node.name
        supervisor = self._supervisors.get(name)
        if supervisor is None:
            supervisor = Supervisor(
                work, self._outbox, self._requests, self._slots, self._kinds, blocked=name in self._retiring
            )
            self._supervisors[name] = supervisor
        self._active[supervisor] = None
        return supervisor

    def dismiss(self, removed: str, now: Moment) -> None:
        """End the processes of all works below a component that was removed from the tree.

        A later work of the same name gets a process only after the old one has exited.
        """
        for name in [name for name in self._supervisors if is_below(name, removed)]:
            supervisor = self._supervisors.pop(name)
            supervisor.ask_stop(timeouts.STOP_TIMEOUT, now)
            self._busy.discard(name)
            self._timers.set(name, None)
            if supervisor.has_process:
                self._retiring[name] = supervisor
                self._active[supervisor] = None

    def abandon(self, now: Moment) -> None:
        """Stop all calls that have not ended, because the app has ended."""
        for supervisor in (*self._supervisors.values(), *self._retiring.values()):
            supervisor.abandon(now)

    def changed(self, supervisor: Supervisor) -> None:
        """Register that a supervisor has changed in this step."""
        self._active[supervisor] = None

    def process_gone(self, name: str, now: Moment) -> None:
        """Register that the process `name` has exited; a new work of that name may start its own."""
        if self._retiring.pop(name, None) is not None and name in self._supervisors:
            self._supervisors[name].unblock(now)
            self._active[self._supervisors[name]] = None

    def advance(self, now: Moment) -> Supervisor | None:
        """Let the supervisors that have changed send their next calls, up to `max_running`, and set timers.

        Among the supervisors that are ready, those that have waited longest send their calls first.

        Returns:
            A supervisor whose error must end the app; then no call is sent. `None` if there is no such error.
        """
        active, self._active = self._active, {}
        held, slots = self._held, self._slots
        for supervisor in active:
            if supervisor.error is not None and self.has(supervisor):
                return supervisor
            if supervisor.is_ready(now):
                held.setdefault(supervisor)
            elif held:
                held.pop(supervisor, None)
        while held and slots.num_free > 0:
            supervisor = next(iter(held))
            del held[supervisor]
            supervisor.dispatch(now)
            active[supervisor] = None
        for supervisor in active:
            name = supervisor.name
            if self._supervisors.get(name) is not supervisor:
                continue
            due = supervisor.wake_at if supervisor not in held else None
            if due != supervisor.timer:
                supervisor.timer = due
                self._timers.set(name, due)
            (self._busy.add if supervisor.is_busy else self._busy.discard)(name)
        return None
