"""State machine of the main process: takes reports and the time, returns events and requests.

    step(now, reports)   with reports or a due timer: apply them
                         else, after a change: run one pass of the flow

A pass never runs in the step that applies reports, so that the caller can write the events of that step to
the journal before the flow sees their effect. The machine has no process, clock or file, so that all its
rules can be tested without a process.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any, NamedTuple

from lightning_lite.clock import Moment
from lightning_lite.context import Caller, acting_as
from lightning_lite.engine.failures import show_call
from lightning_lite.engine.supervisor import Supervisor
from lightning_lite.engine.supervisors import Supervisors
from lightning_lite.engine.timers import Timers
from lightning_lite.errors import AppFailed, FailApp, Pause, PauseSwallowed, StopApp
from lightning_lite.events import Event, ScheduleFired
from lightning_lite.messages import (
    AcknowledgeState,
    Failure,
    PrepareWork,
    Report,
    Request,
    RestartWanted,
    RunEnded,
    StartFailed,
    StateChanged,
    StopWanted,
    WorkExited,
    WorkStarted,
)
from lightning_lite.status import WorkStageStatus
from lightning_lite.tree.calls import Call
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.node import connect
from lightning_lite.tree.outbox import (
    CallRequested,
    ComponentRemoved,
    Outbox,
    RestartRequested,
    StacksRequested,
    StartRequested,
    StopRequested,
    WorkRequest,
)
from lightning_lite.tree.work import LightningWork, swallowed_at

_log = logging.getLogger("lightning_lite")


class Step(NamedTuple):
    """The result of a step.

    Attributes:
        events: The events, in order. The caller writes them to the journal before the next step.
        requests: The requests. The caller sends them after it has written the events.
    """

    events: list[Event]
    requests: list[Request]


class Machine:
    """Runs the flow and supervises the works of one tree of components.

    Args:
        root: The root flow.
        caller: The identity of the flow for drives: its folder, and whether writes are durable.
        max_running: Number of works that may run a call at the same time, or `None` for no limit.

    Attributes:
        root: The root flow.
        ended: Whether the app has ended.
        error: The exception that `app.run()` must raise, or `None`.
        failed_work: Name of the work that caused `error`, or "".
        num_passes: Number of passes of the root flow.
    """

    def __init__(self, root: LightningFlow, caller: Caller, max_running: int | None = None) -> None:
        self.root = root
        self.ended = False
        self.error: BaseException | None = None
        self.failed_work = ""
        self.num_passes = 0
        self._acting = acting_as(caller)
        self._outbox = Outbox()
        self._timers = Timers()
        self._supervisors = Supervisors(self._outbox, self._timers, max_running)
        self._acknowledged: list[Request] = []

    def open(self, now: Moment) -> Step:
        """Connect the tree, and start the works with `start_with_flow`.

        Raises:
            ArgumentError: A work can't be pickled for its process; the message names the attribute.
        """
        self._outbox.wall = now.wall
        connect(self.root, self._outbox)
        self._outbox.explain = _explain if _log.isEnabledFor(logging.DEBUG) else None
        self._outbox.changed("the app has started")
        for _, work in self.root.named_works():
            supervisor = self._supervisors.supervise(work)
            if _starts_with_flow(work):
                supervisor.ask_start(now)
        requests = self._collect(now)
        return Step(self._outbox.take_events(), requests)

    def prepare(self) -> list[Request]:
        """Return requests that let the runner start early the processes that `open` will request."""
        return [
            PrepareWork(work.name, work._policy.env, work._policy.cwd)
            for _, work in self.root.named_works()
            if _starts_with_flow(work)
        ]

    def close(self, now: Moment, reports: Sequence[Report] = ()) -> list[Event]:
        """Disconnect the tree, and return the last events; state and calls stay readable.

        Args:
            now: Current time.
            reports: Reports that arrived during the shutdown. States and ends of calls are applied. Exits of
                processes are ignored: the shutdown caused them.
        """
        self._outbox.wall = now.wall
        for report in reports:
            supervisor = self._supervisors.find(report.work)
            if supervisor is not None and isinstance(report, StateChanged):
                supervisor.state_sync.take(report.changes, report.applied)
            elif supervisor is not None and isinstance(report, RunEnded):
                supervisor.run_ended(report, now)
        self._supervisors.abandon(now)
        events = self._outbox.take_events()
        connect(self.root, None)
        return events

    @property
    def wake_at(self) -> float | None:
        """When `step` must be called even without a report, in monotonic seconds, or `None`."""
        return self._timers.next

    def supervisors(self) -> list[Supervisor]:
        """Return the supervisors of all works in the tree; callable from any thread, for reading only."""
        return self._supervisors.all()

    @property
    def wants_pass(self) -> bool:
        """Whether something changed since the last pass started."""
        return bool(self._outbox.reasons) and not self.ended

    @property
    def is_at_rest(self) -> bool:
        """Whether no pass, report or timer is pending, so that nothing can change any more."""
        return not (self.wants_pass or self._supervisors.is_busy or self._timers.next is not None)

    def step(self, now: Moment, reports: Sequence[Report] = ()) -> Step:
        """Apply reports and due timers. If there are none, run one pass of the flow if it wants one.

        Args:
            now: Current time.
            reports: All reports that have arrived since the last step.

        Raises:
            Exception: Any exception of the flow. The events of such a pass are discarded.
        """
        self._outbox.wall = now.wall
        due = self._timers.pop_due(now)
        if reports or due:
            for report in reports:
                self._apply(report, now)
            for name in due:
                self._wake(name, now)
            # If a pass follows, its step returns all requests together, unless some can be sent now.
            is_sent_later = self.wants_pass and not (self._acknowledged or self._supervisors.has_news(now))
            requests = [] if is_sent_later else self._collect(now)
        elif self.wants_pass:
            requests = self._run_pass(now)
        else:
            requests = []
        return Step(self._outbox.take_events(), requests)

    # Reports and timers.

    def _apply(self, report: Report, now: Moment) -> None:
        supervisor = self._supervisors.of_process(report.work)
        if supervisor is None:
            return
        match report:
            case StateChanged():
                supervisor.state_sync.take(report.changes, report.applied)
                self._acknowledged.append(AcknowledgeState(report.work))
                if not report.changes:
                    return  # it only confirms a write of the flow
            case RunEnded():
                supervisor.run_ended(report, now)
            case WorkStarted():
                supervisor.started(report.place, now)
            case StartFailed():
                supervisor.start_failed(report.failure)
            case WorkExited():
                supervisor.exited(report.exitcode, report.detail, now)
                self._supervisors.process_gone(report.work, now)
            case StopWanted():
                supervisor.ask_stop(report.timeout, now)
            case RestartWanted() if self._supervisors.has(supervisor):
                supervisor.ask_restart(report.timeout, now)
        self._supervisors.changed(supervisor)
        self._outbox.changed(f"{report.work}: {type(report).__name__}")

    def _wake(self, name: str, now: Moment) -> None:
        """Handle a due timer: of a work, or of a schedule of the flow."""
        supervisor = self._supervisors.find(name)
        if supervisor is not None:
            supervisor.tick(now)
            self._supervisors.changed(supervisor)
        else:
            self._outbox.events.append(ScheduleFired(name, now.wall))
            self._outbox.changed(name)

    # The pass.

    def _run_pass(self, now: Moment) -> list[Request]:
        """Run one pass of the flow, handle its requests, and return the requests to send."""
        outbox = self._outbox
        try:
            self._run_root()
        except BaseException:
            outbox.drop_events()
            raise
        if self.ended:
            return []
        written = list(outbox.writes.items())
        if outbox.asks:
            self._handle_requests(now)
        for name, (_, attributes) in written:
            if (supervisor := self._supervisors.find(name)) is not None:
                supervisor.ask_write(attributes)
                self._supervisors.changed(supervisor)
        if outbox.wakes:
            self._set_schedules(now)
        return self._collect(now)

    def _run_root(self) -> None:
        """Call `run` of the root flow, and handle how it ends: normally, paused, stopped or failed.

        Raises:
            PauseSwallowed: The flow caught the `Pause`.
            Exception: Any other exception of the flow.
        """
        outbox = self._outbox
        self.num_passes += 1
        if outbox.explain is not None:
            _log.debug("pass %d of the flow: %s", self.num_passes, ", ".join(outbox.reasons))
        outbox.begin_pass()
        was_swallowed = False
        try:
            with self._acting:
                self.root.run()
            was_swallowed = outbox.pause is not None
        except Pause as pause:
            # Don't keep `pause`: with its traceback it would be a reference cycle in each pass.
            was_swallowed = pause is not outbox.pause
        except (StopApp, FailApp) as ending:
            outbox.ending = ending
        if was_swallowed and outbox.ending is None:
            raise PauseSwallowed(swallowed_at(outbox)) from outbox.pause
        outbox.collect_changes()
        if outbox.ending is not None:
            self.ended = True
            if isinstance(outbox.ending, FailApp):
                self.error = AppFailed(str(outbox.ending))

    def _handle_requests(self, now: Moment) -> None:
        """Handle the requests of the pass, in order."""
        outbox = self._outbox
        asks, outbox.asks = outbox.asks, []
        for ask in asks:
            if isinstance(ask, ComponentRemoved):
                self._supervisors.dismiss(ask.name, now)
            elif ask.work._node.link is not outbox:
                if isinstance(ask, CallRequested):
                    ask.call.fail(
                        Failure("stopped", f"{type(ask.work).__qualname__} was removed from the tree")
                    )
            else:
                self._handle_request(ask, now)

    def _set_schedules(self, now: Moment) -> None:
        """Set the timers of the schedules that the pass reached."""
        wakes, self._outbox.wakes = self._outbox.wakes, {}
        for what, wall in wakes.items():
            self._timers.set(what, now.monotonic + (wall - now.wall))

    def _handle_request(self, ask: WorkRequest, now: Moment) -> None:
        supervisor = self._supervisors.supervise(ask.work)
        match ask:
            case CallRequested():
                supervisor.ask_call(ask.call, now)
            case StartRequested():
                supervisor.ask_start(now)
            case StopRequested():
                supervisor.ask_stop(ask.timeout, now)
            case RestartRequested():
                supervisor.ask_restart(ask.timeout, now)
            case StacksRequested():
                supervisor.ask_stacks()

    def _collect(self, now: Moment) -> list[Request]:
        """Return the requests to send; none if the app has ended or a failure of a work ends it now."""
        requests, self._acknowledged = self._acknowledged, []
        if not self.ended and (failed := self._supervisors.failed) is not None:
            self.ended, self.error, self.failed_work = True, failed.error, failed.name
        return [] if self.ended else requests + self._supervisors.collect(now)


def _starts_with_flow(work: LightningWork) -> bool:
    was_stopped = work._book.status.stage == WorkStageStatus.STOPPED  # in the resumed run
    return work._policy.start_with_flow and not was_stopped


def _explain(work: str, call: Call, is_new: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Log why a call is run, or why not."""
    stage = call.statuses[-1].stage
    known = f"same as call {call.number}, {'' if call.ended else 'still '}{stage}"
    decision = f"new, call {call.number}" if is_new else known
    _log.debug("%s: %s", show_call(work, args, kwargs), decision)
