"""The main-side machine: letters and the time in, one pass of the flow, letters out.

    step(now, letters)   1. apply all letters: states, ends of calls, deaths
                         2. let the works' timers act
                         3. run the root flow once, if something changed
                         4. return what is to be sent

It owns no process, no clock and no file, so all rules can be tested with no process at all.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from lightning_lite import settings
from lightning_lite.clock import Moment
from lightning_lite.context import Caller, acting_as
from lightning_lite.core.asking import swallowed_at
from lightning_lite.core.calls import Call
from lightning_lite.core.component import Component
from lightning_lite.core.facts import Facts
from lightning_lite.core.failure import show_call
from lightning_lite.core.flow import LightningFlow
from lightning_lite.core.identity import class_identity
from lightning_lite.core.outbox import (
    CallAsked,
    Detached,
    Outbox,
    RestartAsked,
    StacksAsked,
    StartAsked,
    StopAsked,
)
from lightning_lite.core.status import WorkStageStatus
from lightning_lite.core.supervisor import Supervisor
from lightning_lite.core.timers import Timers
from lightning_lite.core.tree import connect
from lightning_lite.core.work import LightningWork
from lightning_lite.errors import AppFailed, FailApp, Pause, PauseSwallowed, StopApp
from lightning_lite.messages import (
    AcknowledgeState,
    Failure,
    Report,
    Request,
    RunEnded,
    StartFailed,
    StateChanged,
    WorkExited,
    WorkStarted,
)

_log = logging.getLogger("lightning_lite")


class Machine:
    """Drives one tree of components.

    Args:
        root: The root flow.
        caller: Who the flow is for the drives: its folder, and whether it wants the disk's flush.
        max_running: How many works run a call at once, or `None` for all.

    Attributes:
        ended: Whether the app is over; `error` says how.
        error: What `app.run()` has to raise, or `None`.
        num_passes: How often the root flow has run.
    """

    def __init__(self, root: LightningFlow, caller: Caller, max_running: int | None = None) -> None:
        self.root = root
        self.ended = False
        self.error: BaseException | None = None
        self.num_passes = 0
        self._caller = caller
        self._max_running = max_running
        self._outbox = Outbox()
        self._supervisors: dict[str, Supervisor] = {}
        self._retiring: dict[str, Supervisor] = {}  # taken out of the tree, their processes not gone yet
        self._active: dict[Supervisor, None] = {}  # those to look at before the step ends
        self._held: dict[Supervisor, None] = {}  # those that wait for `max_running`, in their order
        self._busy: set[str] = set()
        self._num_running = 0
        self._timers = Timers()
        self._acknowledged: list[Request] = []

    def open(self, now: Moment) -> list[Request]:
        """Take the tree, and return the letters that start the declared works.

        Raises:
            ArgumentError: A work can't be sent to its process; the message names the attribute.
        """
        connect(self.root, self._outbox)
        self._outbox.explain = _explain if _log.isEnabledFor(logging.DEBUG) else None
        self._outbox.wall = now.wall
        self._outbox.changed("the app has started")
        for _, work in self.root.named_works():
            supervisor = self._supervise(work)
            was_stopped = work._book.status.stage == WorkStageStatus.STOPPED  # in the run that is resumed
            if work._policy.start_with_flow and not was_stopped:
                supervisor.ask_start(now)
        return self._collect(now)

    def close(self, now: Moment) -> None:
        """Let go of the tree; what it knows stays readable."""
        for supervisor in (*self._supervisors.values(), *self._retiring.values()):
            supervisor.abandon(now)
        connect(self.root, None)

    @property
    def wake_at(self) -> float | None:
        """When `step` wants to be called without a letter, in monotonic seconds, or `None`."""
        return self._timers.next

    @property
    def wants_pass(self) -> bool:
        """Whether something changed since the last pass began."""
        return bool(self._outbox.reasons) and not self.ended

    @property
    def is_at_rest(self) -> bool:
        """Whether nothing is under way that could change anything."""
        return not (self.wants_pass or self._busy or self._timers.next is not None)

    def step(self, now: Moment, reports: Iterable[Report] = ()) -> list[Request]:
        """Apply what arrived, run the flow once if something changed, and return what is to be sent.

        Facts that nobody has taken are dropped.

        Raises:
            Exception: Whatever the flow raises.
        """
        self.take_facts()
        return [*self.apply(now, reports), *self.run(now)]

    def apply(self, now: Moment, reports: Iterable[Report]) -> list[Request]:
        """Apply what arrived: the first half of `step`, before the flow sees it."""
        self._outbox.wall = now.wall
        for report in reports:
            self._apply(report, now)
        for name in self._timers.pop_due(now):
            if name in self._supervisors:
                self._supervisors[name].tick(now)
                self._active[self._supervisors[name]] = None
            else:
                self._outbox.changed(name)  # an event of a schedule
        return self._collect(now)

    def run(self, now: Moment) -> list[Request]:
        """Run the flow once if something changed: the second half of `step`.

        Raises:
            Exception: Whatever the flow raises.
        """
        if not self.wants_pass:
            return []
        arrived = self.take_facts()
        try:
            self._run_pass()
            written = self._outbox.facts.writes
            arrived.add(self._outbox.facts)
        finally:
            self._outbox.facts = arrived  # for the journal a pass that raised did not happen
        if self.ended:
            return []
        self._take_asks(now)
        self._take_writes(written, now)
        return self._collect(now)

    @property
    def has_failures(self) -> bool:
        """Whether calls have failed that the flow has not seen yet."""
        return bool(self._outbox.facts.completed)

    def take_facts(self) -> Facts:
        """Return what has changed since the last time."""
        facts, self._outbox.facts = self._outbox.facts, Facts()
        return facts

    def accepted(self, report: StateChanged | RunEnded) -> tuple[dict[str, bytes], bytes | None]:
        """Return what counts of a letter: changes that the flow has not written over, an answer it awaits."""
        supervisor = None if report.work in self._retiring else self._supervisors.get(report.work)
        if supervisor is None:
            return {}, None
        answer = report.value if isinstance(report, RunEnded) and supervisor.awaits(report) else None
        return supervisor.accepted(report.changes, report.applied), answer

    def apply_last(self, now: Moment, reports: Iterable[Report]) -> None:
        """Apply the states and ends of calls that came while the works were ended; nothing is sent.

        That their processes are gone then says nothing about the works.
        """
        for report in reports:
            supervisor = self._supervisors.get(report.work)
            if supervisor is not None and isinstance(report, StateChanged):
                supervisor.state_changed(report.changes, report.applied)
            elif supervisor is not None and isinstance(report, RunEnded):
                supervisor.run_ended(report, now)

    # What arrived.

    def _apply(self, report: Report, now: Moment) -> None:
        supervisor = self._retiring.get(report.work) or self._supervisors.get(report.work)
        if supervisor is None:
            return
        was_running = supervisor.is_running
        match report:
            case StateChanged():
                supervisor.state_changed(report.changes, report.applied)
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
                self._retired(report.work, now)
        self._num_running += supervisor.is_running - was_running
        self._active[supervisor] = None
        self._outbox.changed(f"{report.work}: {type(report).__name__}")

    # The pass.

    def _run_pass(self) -> None:
        outbox = self._outbox
        self.num_passes += 1
        if _log.isEnabledFor(logging.DEBUG):
            _log.debug("pass %d of the flow: %s", self.num_passes, ", ".join(outbox.reasons))
        outbox.begin_pass()
        arrived: Pause | None = None
        try:
            with acting_as(self._caller):
                self.root.run()
        except Pause as pause:
            arrived = pause
        except (StopApp, FailApp) as ending:
            outbox.ending = ending
        if outbox.pause is not arrived and outbox.ending is None:
            raise PauseSwallowed(swallowed_at(outbox)) from outbox.pause
        outbox.look()
        if outbox.ending is not None:
            self.ended = True
            if isinstance(outbox.ending, FailApp):
                self.error = AppFailed(str(outbox.ending))

    def _take_asks(self, now: Moment) -> None:
        """Hand on what the pass asked for, in its order."""
        outbox = self._outbox
        asks, outbox.asks = outbox.asks, []
        for ask in asks:
            if isinstance(ask, Detached):
                self._dismiss(ask.name, now)
            elif ask.work._node.link is not outbox:
                if isinstance(ask, CallAsked):
                    ask.call.fail(
                        Failure("stopped", f"{type(ask.work).__qualname__} was taken out of the tree")
                    )
            else:
                self._hand_on(ask, now)

    def _take_writes(self, written: Mapping[str, tuple[Component, set[str]]], now: Moment) -> None:
        """Hand on what the pass wrote to works, and when its schedules are due."""
        for name, (_, attributes) in written.items():
            if name in self._supervisors:
                self._supervisors[name].ask_write(attributes)
                self._active[self._supervisors[name]] = None
        wakes, self._outbox.wakes = self._outbox.wakes, {}
        for what, wall in wakes.items():
            self._timers.set(what, now.monotonic + (wall - now.wall))

    def _hand_on(
        self, ask: CallAsked | StartAsked | StopAsked | RestartAsked | StacksAsked, now: Moment
    ) -> None:
        supervisor = self._supervise(ask.work)
        match ask:
            case CallAsked():
                supervisor.ask_call(ask.call, now)
            case StartAsked():
                supervisor.ask_start(now)
            case StopAsked():
                supervisor.ask_stop(ask.timeout, now)
            case RestartAsked():
                supervisor.ask_restart(ask.timeout, now)
            case StacksAsked():
                supervisor.ask_stacks()

    # The works.

    def _supervise(self, work: LightningWork) -> Supervisor:
        """Return the supervisor of a work; a work that is new gets one."""
        supervisor = self._supervisors.get(work.name)
        if supervisor is None:
            supervisor = Supervisor(work, self._outbox, blocked=work.name in self._retiring)
            self._supervisors[work.name] = supervisor
            self._outbox.facts.works[work.name] = class_identity(type(work))
        self._active[supervisor] = None
        return supervisor

    def _dismiss(self, detached: str, now: Moment) -> None:
        """End the processes of what was taken out of the tree; their names are free when they are gone."""
        for name in [name for name in self._supervisors if f"{name}.".startswith(f"{detached}.")]:
            supervisor = self._supervisors.pop(name)
            supervisor.ask_stop(settings.STOP_TIMEOUT, now)
            self._busy.discard(name)
            self._timers.set(name, None)
            if supervisor.has_process:
                self._retiring[name] = supervisor
                self._active[supervisor] = None

    def _retired(self, name: str, now: Moment) -> None:
        if self._retiring.pop(name, None) is not None and name in self._supervisors:
            self._supervisors[name].unblock(now)
            self._active[self._supervisors[name]] = None

    def _collect(self, now: Moment) -> list[Request]:
        """Let the works send what they have to, as far as `max_running` allows, and set their timers."""
        requests, self._acknowledged = self._acknowledged, []
        active, self._active = self._active, {}
        for supervisor in active:
            if supervisor.error is not None and self._is_present(supervisor) and not self.ended:
                self.ended, self.error = True, supervisor.error
        if self.ended:
            return []  # nothing begins after the end
        active |= self._dispatch(active, now)
        for supervisor in active:
            name = supervisor.name
            requests += supervisor.take_requests()
            if not self._is_present(supervisor):
                continue
            self._timers.set(name, supervisor.wake_at if supervisor not in self._held else None)
            (self._busy.add if supervisor.is_busy else self._busy.discard)(name)
            if supervisor.take_noted():
                self._outbox.changed(f"{name}: {supervisor.work.status.stage}")
        return requests

    def _dispatch(self, active: Iterable[Supervisor], now: Moment) -> dict[Supervisor, None]:
        """Let works begin a call, first those that have waited for it longest; return which."""
        for supervisor in active:
            if supervisor.is_ready(now):
                self._held.setdefault(supervisor)
            else:
                self._held.pop(supervisor, None)
        begun: dict[Supervisor, None] = {}
        while self._held and (self._max_running is None or self._num_running < self._max_running):
            supervisor = next(iter(self._held))
            del self._held[supervisor]
            supervisor.dispatch(now)
            self._num_running += 1
            begun[supervisor] = None
        return begun

    def _is_present(self, supervisor: Supervisor) -> bool:
        """Return whether it was not taken out of the tree; another one may have its name."""
        return self._supervisors.get(supervisor.name) is supervisor


def _explain(work: str, call: Call, is_new: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Say why a call is run, or why not."""
    stage = call.statuses[-1].stage
    known = f"same as call {call.number}, {'' if call.ended else 'still '}{stage}"
    decision = f"new, call {call.number}" if is_new else known
    _log.debug("%s: %s", show_call(work, args, kwargs), decision)
