"""State machine of the main process: takes reports and the time, returns events and requests.

    step(now, reports)   with reports or a due timer: apply them
                         else, after a change: run one pass of the flow

A pass that needs a call that has not ended waits at that line, inside its step:

    step(now) ──▶ run() of the flow ──▶ work.run() ──▶ exchange(Step)   carry out the pass up to this line,
                                                          │             wait for reports,
                                                          └──▶ step(now, reports)   apply them

When the call has ended, `exchange` returns and the pass continues at its line. When something else has
happened, the pass is cut there with `Pause`, and the flow runs from its first line.

A handler, which another thread has asked for, runs inside a step as well, between passes or while one waits.
Its changes are events, like the changes of a pass.

A pass never sees a report in the step that applies it, so that the caller can write the events of that
step to the journal first. The machine has no process and no clock of its own, and writes only the files of
big arguments, so that all its rules can be tested without a process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, assert_never, cast

from lightning_lite.clock import Moment
from lightning_lite.context import SCRIPT, Caller, acting_as
from lightning_lite.engine.failure_messages import show_call
from lightning_lite.engine.supervisor import Supervisor, Supervisors, needs_of
from lightning_lite.engine.timers import Timers
from lightning_lite.errors import (
    AppFailed,
    FailApp,
    HandlerError,
    LightningFlowWarning,
    Pause,
    PauseSwallowed,
    StopApp,
)
from lightning_lite.events import Event, ScheduleFired
from lightning_lite.main_messages import (
    HandlerWanted,
    PrepareWork,
    Report,
    Request,
    RestartWanted,
    StopWanted,
    WorkExited,
)
from lightning_lite.messages import (
    AcknowledgeState,
    Failure,
    RunEnded,
    StartFailed,
    StateChanged,
    WorkStarted,
)
from lightning_lite.resources import Resources
from lightning_lite.status import WorkStageStatus
from lightning_lite.tracebacks import add_note, text_of, warn_at
from lightning_lite.tree.calls import Call, loaded, unload_dropped
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.hierarchy import connect
from lightning_lite.tree.outbox import (
    CANNOT_WAIT,
    CallRequested,
    ComponentRemoved,
    Outbox,
    RestartRequested,
    StacksRequested,
    StartRequested,
    StopRequested,
    WorkRequest,
)
from lightning_lite.tree.runaway_calls import RunawayCalls
from lightning_lite.tree.work import LightningWork
from lightning_lite.values.pickling import files_of
from lightning_lite.values.secret import reveal_environment

_log = logging.getLogger("lightning_lite")


#: Default of `patience`: about twice the cost of one answer, so that passes from the first line take at
#: most half of the time.
PATIENCE = 5e-6

#: A warning is given after this many passes in a row that the flow has caused itself: some seconds of them.
#: Flows that count their passes make fewer while a process starts.
_MANY_ALONE = 20_000

#: Why another pass follows one that has waited.
_WAITED = "the last pass waited for a call, so its first lines may have seen older values"


class Step(NamedTuple):
    """The result of a step.

    Attributes:
        events: The events, in order. The caller writes them to the journal before the next step.
        requests: The requests. The caller sends them first, so that works do not wait for the journal. It
            writes first in a resumed run, and if one of the events is `CallFailed`.
        unneeded: Packed big values that nothing needs any more once the events are written.
        has_exits: Whether a process has exited, which may have left a file of a value without a reference.
        answers: Called by the caller once the events are written: they hand the answers of handlers to the
            threads that wait for them.
    """

    events: list[Event]
    requests: list[Request]
    unneeded: list[bytes]
    has_exits: bool
    answers: list[Callable[[], None]]


class Machine:
    """Runs the flow and supervises the works of one tree of components.

    Args:
        root: The root flow.
        caller: The identity of the flow for drives: its folder, and whether writes are durable.
        max_running: Number of works that may run a call at the same time, or `None` for no limit.
        exchange: Called with the step of a pass that waits for a call: it must carry out that step, and call
            `step` at least once with reports or after `wake_at`. If it raises, the pass is cut, then `step`
            raises that exception. `None`: a pass that needs a call that has not ended is always cut.
        read_clock: Returns the current time. It is read where a pass may have run for some time since its
            step began; with `None`, the time of the step counts.
        patience: Seconds for each call answered in a pass, for which a change does not yet cut that pass
            while it waits.
        kinds: The meanings of names of `CloudCompute`, besides the names in `resources.KINDS`; `None` if the
            runner does not ask for the resources of works.

    Attributes:
        root: The root flow.
        ended: Whether the app has ended.
        error: The exception that `app.run()` must raise, or `None`.
        failed_work: Name of the work that caused `error`, or "".
        num_passes: Number of passes of the root flow, each from its first line.
        is_waiting: Whether a pass waits for a call.
        accepts_handlers: Whether other threads may ask for handlers at any time, so that the app never rests.
        now: The time of the last step, or a later one in a pass.
    """

    def __init__(
        self,
        root: LightningFlow,
        caller: Caller,
        max_running: int | None = None,
        exchange: Callable[[Step], None] | None = None,
        read_clock: Callable[[], Moment] | None = None,
        patience: float = PATIENCE,
        kinds: Mapping[str, Resources] | None = None,
    ) -> None:
        self.root = root
        self.ended = False
        self.error: BaseException | None = None
        self.failed_work = ""
        self.num_passes = 0
        # Passes in a row that the flow has caused by its own changes. A pass after a report neither
        # increases nor resets this number, because a work may report continuously.
        self._num_alone = 0
        self._has_news = False  # whether reports have come since the last pass began
        self._acting = acting_as(caller)
        self._handling = acting_as(caller)  # a second one: a waiting pass still uses the first
        self._answers: list[Callable[[], None]] = []  # of handlers in this step
        self.accepts_handlers = False
        # Another machine may not see the folder: with several, big arguments are in the messages.
        values = caller.values if kinds is None else None
        self._outbox = Outbox(RunawayCalls(), values, durable=caller.durable)
        self._timers = Timers()
        self._requests: list[Request] = []  # to send after the step
        self._supervisors = Supervisors(self._outbox, self._timers, self._requests, max_running, kinds)
        self._kinds = kinds
        self.is_waiting = False
        self._has_exits = False  # in this step
        self._outside = acting_as(SCRIPT)
        self._exchange = exchange
        self._read_clock = read_clock
        self._patience = patience
        self._interruption: BaseException | None = None  # raised by `exchange` in this pass
        self.now = Moment(0.0, 0.0)
        self._thread = 0
        # Of a pass that waits: since when something has changed, and when it is cut, in monotonic seconds.
        self._changed_at: float | None = None
        self._cut_at: float | None = None
        self._outbox.wait = self._wait

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
        self._advance(now)
        return self._take_step()

    def prepare(self) -> list[Request]:
        """Return requests that let the runner start early the processes that `open` will request."""
        return [
            PrepareWork(
                work.name,
                reveal_environment(work._policy.env, work.name),
                work._policy.cwd,
                needs_of(work, self._kinds),
            )
            for _, work in self.root.named_works()
            if _starts_with_flow(work)
        ]

    def close(self, now: Moment, reports: Sequence[Report] = ()) -> Step:
        """Disconnect the tree, and return the last step, without requests; state and calls stay readable.

        Args:
            now: Current time.
            reports: Reports that arrived during the shutdown. States and ends of calls are applied. Reports
                about processes are ignored, because the shutdown ends them, and so are requests from outside.
        """
        self._outbox.wall = now.wall
        for report in reports:
            self._apply(report, now, is_closing=True)
        self._supervisors.abandon(now)
        self._has_exits = True  # all processes have ended, so nothing takes requests any more
        step = self._take_step()._replace(requests=[])
        connect(self.root, None)
        return step

    @property
    def wake_at(self) -> float | None:
        """When `step` must be called even without a report, in monotonic seconds, or `None`."""
        timer, cut_at = self._timers.next, self._cut_at
        if not self.is_waiting or cut_at is None or (timer is not None and timer < cut_at):
            return timer
        return cut_at

    def big_values(self) -> set[str]:
        """Return the names of the files of big values that the works in the tree, or a resume, need."""
        works = (supervisor.work for supervisor in self._supervisors.all())
        calls = (call for work in works for call in work._records.current.values() if call.is_big)
        values = [*self._outbox.still_needed, *(packed for call in calls for packed in call.big_values)]
        return {name for packed in values for name in files_of(packed)}

    def last_attempt_of(self, work: str) -> float | None:
        """Return when the last attempt of a work in the tree was sent, in seconds since 1970, or `None`."""
        supervisor = self._supervisors.find(work)
        return None if supervisor is None or supervisor.began is None else supervisor.began.wall

    def supervisors(self) -> list[Supervisor]:
        """Return the supervisors of all works in the tree; callable from any thread, for reading only."""
        return self._supervisors.all()

    @property
    def last_pause(self) -> Pause | None:
        """The exception that has cut the last pass of the flow, with its traceback; `None` if none did."""
        return self._outbox.this_pass.pause

    @property
    def wants_pass(self) -> bool:
        """Whether something changed since the last pass started, and none is waiting for a call."""
        return bool(self._outbox.reasons) and not self.ended and not self.is_waiting

    @property
    def is_at_rest(self) -> bool:
        """Whether no pass, report or timer is pending, and no work serves: nothing can change any more."""
        return not (
            self.wants_pass
            or self.is_waiting
            or self._supervisors.is_busy
            or self._timers.next is not None
            or self._supervisors.may_serve
            or self.accepts_handlers
        )

    def step(self, now: Moment, reports: Sequence[Report] = ()) -> Step:
        """Apply reports and due timers. If there are none, run one pass of the flow if it wants one.

        Args:
            now: Current time.
            reports: All reports that have arrived since the last step.

        Raises:
            Exception: Any exception of the flow. The events of such a pass after its last wait are discarded.
        """
        self.now, self._outbox.wall = now, now.wall
        is_due = self._timers.next is not None and self._timers.next <= now.monotonic
        if reports or is_due:
            self._has_news |= bool(reports)
            for report in reports:
                self._apply(report, now)
            for name in self._timers.pop_due(now) if is_due else ():
                self._wake(name, now)
            self._advance(now)
        elif self.wants_pass:
            self._run_pass()
        return self._take_step()

    def _take_step(self) -> Step:
        """Return the results since the last time; no requests if the app has ended."""
        outbox = self._outbox
        if outbox.writes:
            outbox.emit_writes()
        requests = [] if self.ended else self._requests[:]
        self._requests.clear()
        step = Step(outbox.events, requests, outbox.unneeded, self._has_exits, self._answers)
        outbox.events, outbox.unneeded, self._has_exits, self._answers = [], [], False, []
        if loaded:
            unload_dropped()
        return step

    # Reports and timers.

    def _apply(self, report: Report, now: Moment, *, is_closing: bool = False) -> None:
        if isinstance(report, HandlerWanted):
            if not is_closing:
                self._run_handler(report)
            return
        supervisor = self._supervisors.find_for_report(report.work)
        if supervisor is None:
            return
        match report:
            case StateChanged():
                supervisor.state_sync.take(report.changes, report.applied)
                self._requests.append(AcknowledgeState(report.work))
                if not report.changes:
                    return  # it only confirms a write of the flow
            case RunEnded():
                supervisor.run_ended(report, now)
            case WorkStarted() | StartFailed() | WorkExited() | StopWanted() | RestartWanted() if is_closing:
                return
            case WorkStarted():
                supervisor.started(report, now)
            case StartFailed():
                supervisor.start_failed(report.failure)
            case WorkExited():
                supervisor.exited(report, now)
                self._supervisors.process_gone(report.work, now)
                self._has_exits = True
            case StopWanted():
                supervisor.ask_stop(report.timeout, now)
            case RestartWanted():
                if self._supervisors.has(supervisor):
                    supervisor.ask_restart(report.timeout, now)
            case _:
                assert_never(report)
        self._outbox.reasons[f"{report.work}: {type(report).__name__}"] = report.work

    def _wake(self, name: str, now: Moment) -> None:
        """Handle a due timer: of a work, or of a schedule of the flow."""
        supervisor = self._supervisors.find(name)
        if supervisor is not None:
            supervisor.timer = None
            supervisor.tick(now)
            self._supervisors.changed(supervisor)
        else:
            self._num_alone = 0
            self._outbox.runaway_calls.state_changed()
            self._outbox.events.append(ScheduleFired(name, now.wall))
            self._outbox.changed(name)

    # Handlers.

    def _run_handler(self, wanted: HandlerWanted) -> None:
        """Run the function that another thread has asked for, and handle its requests and writes.

        Changes that it made before it raised stay, except for a list or dict that holds a value that is
        not plain data: that gets its earlier value.
        """
        if self.ended or (handler := wanted.begin()) is None:
            return
        self._num_alone = 0
        outbox, value = self._outbox, None
        error: Exception | None = None
        waiting = outbox.begin_handler()
        try:
            try:
                with self._handling:
                    value = handler()
            except (StopApp, FailApp):
                pass  # the outbox has it
            except Exception as raised:  # noqa: BLE001 - the thread that waits gets it
                error = raised
            refused = outbox.collect_or_restore()
        finally:
            ending = outbox.end_handler(waiting)
        self._refresh_time()
        if ending is not None:
            self._end(ending)
        else:
            self._take_flow_requests()
        self._answers.append(partial(wanted.answer, value, error or refused))

    def _end(self, ending: StopApp | FailApp) -> None:
        self.ended = True
        if isinstance(ending, FailApp):
            self.error = AppFailed(str(ending))

    # The pass.

    def _run_pass(self) -> None:
        """Run one pass of the flow, and handle its requests."""
        has_news, self._has_news = self._has_news, False
        is_own = "" in self._outbox.reasons.values()
        is_counted = is_own and not has_news
        if is_counted:
            self._num_alone += 1
        elif not is_own:
            self._num_alone = 0
        try:
            self._run_root()
        except BaseException:
            self._outbox.drop_events()
            raise
        finally:
            self._outbox.this_pass.reached.clear()  # between passes, a status is that of the newest call
        if is_counted and self._num_alone == _MANY_ALONE and self.wants_pass:
            warn_at(
                self.root.run,
                f"The flow has run {_MANY_ALONE:,} passes in a row, because each of them changed "
                f"{', '.join(self._outbox.reasons)}: it never comes to rest. Change an attribute only when "
                f"something has happened, or give it a private name if no line of the flow depends on it.",
                LightningFlowWarning,
            )
        self._refresh_time()
        if not self.ended:
            self._take_flow_requests()

    def _refresh_time(self) -> None:
        """Take the current time, so that a slow pass does not shorten the time limits of its calls."""
        if self._read_clock is not None:
            self.now = self._read_clock()
            self._outbox.wall = self.now.wall

    def _take_flow_requests(self) -> None:
        """Handle the requests and writes of the pass up to here."""
        outbox, now = self._outbox, self.now
        if outbox.requests:
            self._handle_requests(now)
        if outbox.writes:
            for name, (_, attributes) in outbox.writes.items():
                if (supervisor := self._supervisors.find(name)) is not None:
                    supervisor.ask_write(attributes)
                    self._supervisors.changed(supervisor)
            outbox.emit_writes()
        if outbox.wakes:
            self._set_schedules(now)
        self._advance(now)

    def _run_root(self) -> None:
        """Call `run` of the root flow, and handle how it ends: normally, paused, stopped or failed.

        Raises:
            PauseSwallowed: The flow caught the `Pause`.
            Exception: Any other exception of the flow, or an exception of `exchange`.
        """
        outbox = self._outbox
        self.num_passes += 1
        if outbox.explain is not None:
            _log.debug("pass %d of the flow: %s", self.num_passes, ", ".join(outbox.reasons))
        outbox.begin_pass()
        record = outbox.this_pass
        self._thread, self._interruption, self._changed_at = threading.get_ident(), None, None
        was_swallowed, raised_after = False, ""
        try:
            with self._acting:
                self.root.run()
            was_swallowed = record.pause is not None and record.ending is None
        except Pause as pause:
            # Don't keep `pause`: with its traceback it would be a reference cycle in each pass.
            was_swallowed = pause is not record.pause
        except (StopApp, FailApp) as ending:
            record.ending = ending
            was_swallowed = record.pause is not None
        except BaseException as error:
            was_swallowed = (
                isinstance(error, Exception)
                and record.pause is not None
                and not _comes_from(error, record.pause)
            )
            if self._interruption is None and not was_swallowed:
                self._explain_none(error)
                self._explain_cut(error)
                raise
            if was_swallowed:
                raised_after = f"{type(error).__name__}: {text_of(error)}"
        if self._interruption is not None:
            raise self._interruption
        if self.ended:
            return  # the failure of a work has ended the app while the pass waited
        if was_swallowed:
            swallowed = outbox.swallowed_error()
            if raised_after:
                swallowed.add_note(f"The flow raised after that: {raised_after}")
            raise swallowed from record.pause
        if record.ending is None and record.pause is None:
            outbox.end_blocks()
        outbox.collect_changes()
        outbox.forget_unchanged()
        if record.ending is not None:
            self._end(record.ending)
        elif record.again and record.pause is None:
            outbox.changed(record.again)

    def _explain_none(self, error: BaseException) -> None:
        """Add a note to an error about `None` if calls of parallel works have returned it in this pass."""
        if not isinstance(error, TypeError | AttributeError) or "NoneType" not in text_of(error):
            return
        pending = [name for name, call in self._outbox.this_pass.reached.items() if not call.ended]
        if pending:
            more = f" and {len(pending) - 1} more" if len(pending) > 1 else ""
            error.add_note(
                f"{pending[0]}.run(...){more} returned None, because a parallel work returns None until its "
                f"call has ended. Wait for the values with self.wait_for(work, ...)."
            )

    def _explain_cut(self, error: BaseException) -> None:
        """Add a note to an error that the flow has raised in place of the exception that cuts the pass."""
        outbox = self._outbox
        if outbox.this_pass.pause is None or not isinstance(error, Exception):
            return
        if isinstance(error, PauseSwallowed):
            return  # says it itself
        add_note(
            error,
            f"The pass was cut while a call of a work had not ended yet ({outbox.line_of_cut}), and the flow "
            "raised this in place of the exception that cuts it. A bare `except:`, `except BaseException:`, "
            "`finally:` or the end of a `with` block does that; use `except Exception:`.",
        )

    def _wait(self, calls: Sequence[Call], works: Collection[str]) -> None:
        """Let the pass wait at its present line until calls have ended.

        A change cuts the pass. A pass in which many calls were answered is not cut at once, because running
        it from its first line costs as many answers. If the calls end before the cut, changes of their works
        are forgotten, and the pass continues. So a loop of n calls costs n. While a pass waits for a further
        call of a work with `cache_calls=False` whose answer it has used, it is not cut: the next pass would
        make these calls again, and beside a work that reports often, a loop of them would never end.

        Args:
            calls: The calls.
            works: Names of their works.

        Raises:
            Pause: The pass is cut.
            PauseSwallowed: The flow has caught an earlier `Pause` of this pass.
            HandlerError: A handler wants to wait.
        """
        outbox = self._outbox
        if outbox.is_handling:
            raise HandlerError(CANNOT_WAIT.format(" and ".join(works)))
        if outbox.this_pass.pause is not None:
            outbox.cut_again()
        if self._exchange is None or threading.get_ident() != self._thread:
            raise outbox.make_pause()
        if outbox.reasons:
            outbox.forget_answers(works)
        goes_on: bool | None = None
        try:
            self._refresh_time()
            if outbox.touched:
                outbox.collect_changes()
            if outbox.this_pass.written:
                outbox.forget_unchanged()
            self._take_flow_requests()
            while (goes_on := self._decide(calls, works)) is None:
                self._carry_out(self._exchange)
        except BaseException as error:  # noqa: BLE001 - `_run_root` raises it again
            # The flow must not see an error of the app, which its `except Exception` could swallow.
            self._interruption = error
        if not goes_on:
            if all(call.ended for call in calls):
                # `_decide` has dropped this reason, and `finally:` in the flow may undo the other ones.
                outbox.changed("a call has ended in a pass that was cut", next(iter(works)))
            raise outbox.make_pause()
        outbox.this_pass.again = _WAITED

    def _decide(self, calls: Sequence[Call], works: Collection[str]) -> bool | None:
        """Return whether a waiting pass continues (true) or is cut (false); `None` if it has to wait."""
        outbox, now = self._outbox, self.now.monotonic
        has_ended = all(call.ended for call in calls)
        if has_ended and outbox.reasons:
            outbox.reasons = {reason: work for reason, work in outbox.reasons.items() if work not in works}
        if not outbox.reasons:
            self._changed_at = self._cut_at = None
        else:
            if self._changed_at is None:
                self._changed_at = now
            self._cut_at = self._changed_at + self._patience * outbox.this_pass.num_answers
        if not outbox.this_pass.waited.isdisjoint(works):
            self._cut_at = None
        if self.ended or (self._cut_at is not None and now >= self._cut_at):
            return False
        return True if has_ended else None

    def _carry_out(self, exchange: Callable[[Step], None]) -> None:
        """Let the caller carry out the step of the pass up to here, and make the next step."""
        step = self._take_step()
        self.is_waiting = True
        try:
            with self._outside:
                exchange(step)
        finally:
            self.is_waiting = False

    def _handle_requests(self, now: Moment) -> None:
        """Handle the requests of the pass, in order."""
        outbox = self._outbox
        requests, outbox.requests = outbox.requests, []
        for request in requests:
            if isinstance(request, ComponentRemoved):
                self._supervisors.dismiss(request.name, now)
            elif request.work._node.link is not outbox:
                if isinstance(request, CallRequested):
                    request.call.fail(
                        Failure("stopped", f"{type(request.work).__qualname__} was removed from the tree")
                    )
            else:
                self._handle_request(request, now)

    def _set_schedules(self, now: Moment) -> None:
        """Set the timers of the schedules that the pass reached."""
        wakes, self._outbox.wakes = self._outbox.wakes, {}
        for what, wall in wakes.items():
            self._timers.set(what, now.monotonic + (wall - now.wall))

    def _handle_request(self, request: WorkRequest, now: Moment) -> None:
        # The outbox is a lower module than `LightningWork`, so it knows only a part of this type.
        supervisor = self._supervisors.supervise(cast("LightningWork", request.work))
        match request:
            case CallRequested():
                supervisor.ask_call(request.call, now)
            case StartRequested():
                supervisor.ask_start(now)
            case StopRequested():
                supervisor.ask_stop(request.timeout, now)
            case RestartRequested():
                supervisor.ask_restart(request.timeout, now)
            case StacksRequested():
                supervisor.ask_stacks()
            case _:
                assert_never(request)

    def _advance(self, now: Moment) -> None:
        """Let the supervisors send all calls that may run, and end the app if a work has failed for good."""
        if not self.ended and (failed := self._supervisors.advance(now)) is not None:
            self.ended, self.error, self.failed_work = True, failed.error, failed.name


def _starts_with_flow(work: LightningWork) -> bool:
    was_stopped = work._records.status.stage == WorkStageStatus.STOPPED  # in the resumed run
    return work._policy.start_with_flow and not was_stopped


def _explain(work: str, call: Call, is_new: bool, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Log why a call is run, or why not."""
    stage = call.statuses[-1].stage
    known = f"same as call {call.number}, {'' if call.ended else 'still '}{stage}"
    decision = f"new, call {call.number}" if is_new else known
    _log.debug("%s: %s", show_call(work, args, kwargs), decision)


def _comes_from(error: BaseException, pause: Pause) -> bool:
    """Return whether an error was raised while `pause` was on its way, for example in `finally:`."""
    context, seen = error.__context__, {id(error)}
    while context is not None and context is not pause and id(context) not in seen:  # they may form a ring
        seen.add(id(context))
        context = context.__context__
    return context is pause
