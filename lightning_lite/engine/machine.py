"""The state machine of the main side: reports and the time in; events and requests out.

    step(now, reports)   with reports or a timer that is due: apply them
                         else, if something changed: run one pass of the flow

A pass never runs in the step that applies reports, so that the caller can write the events of a step to
the journal before the flow sees what they say. The machine owns no process, no clock and no file: all rules
can be tested without a process.
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
    """What came of a step.

    Attributes:
        events: What happened, in order; to be written to the journal before the next step.
        requests: What is to be sent, after the events were written.
    """

    events: list[Event]
    requests: list[Request]


class Machine:
    """Drives one tree of components.

    Args:
        root: The root flow.
        caller: Who the flow is for the drives: its folder, and whether it wants the disk's flush.
        max_running: How many works run a call at once, or `None` for all.

    Attributes:
        ended: Whether the app is over; `error` says how.
        error: What `app.run()` has to raise, or `None`.
        failed_work: Name of the work whose failure that is, or "".
        num_passes: How often the root flow has run.
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
        """Take the tree, and start the declared works.

        Raises:
            ArgumentError: A work can't be sent to its process; the message names the attribute.
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
        """Return the letters that let the runner begin with what `open` will start."""
        return [
            PrepareWork(work.name, work._policy.env, work._policy.cwd)
            for _, work in self.root.named_works()
            if _starts_with_flow(work)
        ]

    def close(self, now: Moment, reports: Sequence[Report] = ()) -> list[Event]:
        """Let go of the tree, and return the last events; what the tree knows stays readable.

        Args:
            now: The present time.
            reports: What came while the works were ended. The last states and ends of calls count; the ends
                of processes then say nothing about the works.
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
        """When `step` wants to be called without a letter, in monotonic seconds, or `None`."""
        return self._timers.next

    def supervisors(self) -> list[Supervisor]:
        """Return those of all works in the tree; for any thread, and for looking only."""
        return self._supervisors.all()

    @property
    def wants_pass(self) -> bool:
        """Whether something changed since the last pass began."""
        return bool(self._outbox.reasons) and not self.ended

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way that could change anything."""
        return not (self.wants_pass or self._supervisors.is_busy or self._timers.next is not None)

    def step(self, now: Moment, reports: Sequence[Report] = ()) -> Step:
        """Apply what arrived. If nothing did, and something changed before, run one pass of the flow.

        Args:
            now: The present time.
            reports: All messages that have arrived since the last step.

        Raises:
            Exception: Whatever the flow raises; for the journal such a pass did not happen.
        """
        self._outbox.wall = now.wall
        due = self._timers.pop_due(now)
        if reports or due:
            for report in reports:
                self._apply(report, now)
            for name in due:
                self._wake(name, now)
            # If a pass follows at once, its step sends all together, unless there is something to send now.
            is_sent_later = self.wants_pass and not (self._acknowledged or self._supervisors.has_news(now))
            requests = [] if is_sent_later else self._collect(now)
        elif self.wants_pass:
            requests = self._run_pass(now)
        else:
            requests = []
        return Step(self._outbox.take_events(), requests)

    # What arrived.

    def _apply(self, report: Report, now: Moment) -> None:
        supervisor = self._supervisors.of_process(report.work)
        if supervisor is None:
            return
        match report:
            case StateChanged():
                supervisor.state_sync.take(report.changes, report.applied)
                self._acknowledged.append(AcknowledgeState(report.work))
                if not report.changes:
                    return  # it only confirms what the flow wrote
            case RunEnded():
                supervisor.run_ended(report, now)
            case WorkStarted():
                supervisor.started(report.pid, now)
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
        """Take a timer that is due: of a work, or of a schedule of the flow."""
        supervisor = self._supervisors.find(name)
        if supervisor is not None:
            supervisor.tick(now)
            self._supervisors.changed(supervisor)
        else:
            self._outbox.events.append(ScheduleFired(name, now.wall))
            self._outbox.changed(name)

    # The pass.

    def _run_pass(self, now: Moment) -> list[Request]:
        """Run the flow once, and return what is to be sent after it."""
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
            # Not kept in a variable: with its traceback it would be a cycle, and garbage of each pass.
            was_swallowed = pause is not outbox.pause
        except (StopApp, FailApp) as ending:
            outbox.ending = ending
        if was_swallowed and outbox.ending is None:
            raise PauseSwallowed(swallowed_at(outbox)) from outbox.pause
        outbox.look()
        if outbox.ending is not None:
            self.ended = True
            if isinstance(outbox.ending, FailApp):
                self.error = AppFailed(str(outbox.ending))

    def _handle_requests(self, now: Moment) -> None:
        """Hand on what the pass asked for, in its order."""
        outbox = self._outbox
        asks, outbox.asks = outbox.asks, []
        for ask in asks:
            if isinstance(ask, ComponentRemoved):
                self._supervisors.dismiss(ask.name, now)
            elif ask.work._node.link is not outbox:
                if isinstance(ask, CallRequested):
                    ask.call.fail(
                        Failure("stopped", f"{type(ask.work).__qualname__} was taken out of the tree")
                    )
            else:
                self._handle_request(ask, now)

    def _set_schedules(self, now: Moment) -> None:
        """Set the timers of the schedules that the pass came to."""
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
        """Return what is to be sent, unless the failure of a work has ended the app: nothing begins then."""
        requests, self._acknowledged = self._acknowledged, []
        if not self.ended and (failed := self._supervisors.failed) is not None:
            self.ended, self.error, self.failed_work = True, failed.error, failed.name
        return [] if self.ended else requests + self._supervisors.collect(now)


def _starts_with_flow(work: LightningWork) -> bool:
    was_stopped = work._book.status.stage == WorkStageStatus.STOPPED  # in the run that is resumed
    return work._policy.start_with_flow and not was_stopped


def _explain(work: str, call: Call, is_new: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Say why a call is run, or why not."""
    stage = call.statuses[-1].stage
    known = f"same as call {call.number}, {'' if call.ended else 'still '}{stage}"
    decision = f"new, call {call.number}" if is_new else known
    _log.debug("%s: %s", show_call(work, args, kwargs), decision)
