"""One run of an app: connects machine, runner, journal and terminal; all reports and requests pass here.

runner.wait ──reports──▶ machine.step ──requests──▶ runner.send, then events ──▶ recorder.record
▲                                                        │
└──────────────────────── works ◀────────────────────────┘

While a pass of the flow waits for a call, `machine.step` has not returned: it calls `Session._exchange`, and
the same loop continues inside that call.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections import Counter, deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import ClassVar, Literal

from lightning_lite import timeouts
from lightning_lite.app.at_rest import idle_error, is_kept, rest_notice
from lightning_lite.app.commands import Api, Commands
from lightning_lite.app.flow_requests import FlowRequests
from lightning_lite.app.ray_runner import make_remote_runner, remote_options
from lightning_lite.app.reporting import (
    add_last_output,
    print_notice,
    report_failure,
)
from lightning_lite.app.resume import name_of_app, open_run
from lightning_lite.app.running_apps import add_running, remove_running
from lightning_lite.app.servers import Servers
from lightning_lite.app.shown_layout import ShownLayout
from lightning_lite.app.terminal_view import TerminalView
from lightning_lite.app.work_rows import snapshot_work, state_to_record
from lightning_lite.clock import Clock, Moment, RealClock
from lightning_lite.context import Caller
from lightning_lite.engine.machine import PATIENCE, Machine, Step
from lightning_lite.engine.recorder import Recorder
from lightning_lite.errors import (
    ArgumentError,
    InvalidValue,
    JournalError,
    JournalGone,
    LightningFlowWarning,
    RunnerError,
    Unwind,
    ValueFileError,
    WorkStartFailed,
)
from lightning_lite.events import CallFailed, ComponentAttached, Event
from lightning_lite.harmless_text import one_line
from lightning_lite.main_messages import Report
from lightning_lite.masking import mask
from lightning_lite.run_options import RunOptions
from lightning_lite.runners.base import Runner, RunnerOptions
from lightning_lite.runners.inline.runner import InlineRunner
from lightning_lite.runners.output.flow_log import FlowLog
from lightning_lite.runners.processes.runner import ProcessRunner
from lightning_lite.runners.signals import EndingSignals
from lightning_lite.runs.retention import clean_runs
from lightning_lite.tracebacks import find_user_error, format_user_frames, text_of, warn_at
from lightning_lite.tree.calls import CallRecords
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.trusted_roots import TRUSTED, trust
from lightning_lite.ui.terminal import Terminal
from lightning_lite.values.pickling import PackingError, pack, remove_files_of, value_files
from lightning_lite.work_row import WorkRow

_log = logging.getLogger("lightning_lite")

#: A warning is given if this many passes take longer than `_SLOW_SECONDS` each on average.
_SLOW_SAMPLES = 5
_SLOW_SECONDS = 1.0


#: Seconds between two notes of the states of the works, which `ps` shows if the process dies.
_NOTE_INTERVAL = 10.0


#: Errors that an app may get because the folder of its run was removed.
_ERRORS_WITHOUT_FOLDER = (ValueFileError, InvalidValue, WorkStartFailed, JournalError)


class _LoopEnded(Unwind):
    """The loop of the app has ended while a pass waited for a call."""


class Session:
    """One run of an app, from the creation of its folder to the end of its last process.

    Args:
        root: The root flow.
        options: The options of the run.
        clock: Source of the time.
        run_once: Calls `turn`, and returns whether the app has ended; called while a pass waits for a call.

    Raises:
        RunnerError: The system lacks something that the runner needs.
        RootRefused: Another user could have written into the root, or it has another mode.
        JournalError: The run can't be resumed; the error says why.
        PoisonCall: The flow of the run to resume died several times of the same call.

    Attributes:
        run_id: Id of the run, the name of its folder.
        runner: The runner, which carries the messages.
        num_begun: Number of sessions created in this process.
        signals: The signal handlers that end the app if it runs in the main thread, or `None`.
        flow_requests: The requests of other threads to the flow.
        layout: The layout of its pages.
        thread: Identifier of the thread that runs the flow.
        loop_ended: Whether `run_once` has ended the app while a pass waited for a call.
    """

    num_begun: ClassVar[int] = 0

    def __init__(
        self, root: LightningFlow, options: RunOptions, clock: Clock, run_once: Callable[[], bool]
    ) -> None:
        for work in root.works():
            work._records = CallRecords()
        Session.num_begun += 1
        self._root = root
        self.signals: EndingSignals | None = None
        self._end_lock = threading.Lock()  # held from the first request to end the app
        self._end_requested = False
        self._view: TerminalView | None = None
        self._flow_log: FlowLog | None = None
        self._options = options
        self.thread = threading.get_ident()
        self._busy_since: float | None = None  # start of the running turn, in monotonic seconds
        self._unapplied: list[Report] = []  # reports that arrived with the request to end the app
        self._clock = clock
        self._run_once = run_once
        self.loop_ended = False
        self._waited = 0.0  # seconds that the running pass has waited for calls
        self._durations: deque[float] = deque(maxlen=_SLOW_SAMPLES)
        self._has_reported_rest = False
        self._suspend_refused = False
        self._note_at = clock.now().monotonic + _NOTE_INTERVAL
        if options.root_mode == TRUSTED:
            trust(options.root_dir)
        self._terminal = Terminal()
        self._folder, journal, self._is_resumed, self._survived = open_run(root, options)
        self.run_id = self._folder.id
        try:
            # After the lock is taken, so that this run is not removed.
            clean_runs(options.root_dir)
            self._caller = self._make_caller()
            self.layout = ShownLayout(root, self._caller, self._folder.note_layout)
            self._servers = Servers(root, options, self._folder, self.layout)
            self._machine = self._make_machine()
            if options.view:  # before the runner is created, which may replace the standard streams
                # Only a resumed run has earlier calls. For a new one, the wall clock may be set back.
                since = clock.now().wall if self._is_resumed else 0.0
                self._view = TerminalView.open(name_of_app(root), self._terminal, self.snapshot_works, since)
            self._terminal.keep_lines_whole()  # before the runner is created, too
            self._recorder = Recorder(journal, options.history, root)
            self.runner = self._make_runner(options)
            self.flow_requests = FlowRequests(self.runner.wake)
        except BaseException:
            self._terminal.close()
            if self._view is not None:
                self._view.close("failed", [])
            self._folder.note_end("failed")
            journal.close()
            raise

    def _make_caller(self) -> Caller:
        options = self._options
        return Caller(
            "flow",
            "root",
            options.root_dir,
            options.durable,
            self._folder.values,
            drives=options.drives,
            session=os.urandom(8).hex(),
        )

    def _make_machine(self) -> Machine:
        options, clock = self._options, self._clock
        # The time of a `ManualClock` stands still, so that patience would never end.
        patience = PATIENCE if isinstance(clock, RealClock) else 0.0
        return Machine(
            self._root,
            self._caller,
            options.max_running,
            self._exchange,
            clock.now,
            patience=patience,
            kinds=options.compute if options.runner == "ray" else None,
        )

    def _make_runner(self, options: RunOptions) -> Runner:
        folder, is_inline = self._folder, options.runner == "inline"
        if is_inline and options.setup is not None:
            options.setup()
        setup = None if is_inline else _pack_setup(options)
        preload, remote = _modules_for_works(options.start_method), None
        if options.runner == "ray":
            remote = remote_options(options)
        runner_options = RunnerOptions.of(
            options, folder.logs, preload, setup, folder.values, remote, self._caller.session
        )
        if remote is not None:
            return make_remote_runner(runner_options, self._terminal)
        runner_class = InlineRunner if is_inline else ProcessRunner
        return runner_class(runner_options, self._terminal)

    @property
    def root(self) -> LightningFlow:
        """The root flow."""
        return self._root

    @property
    def folder(self) -> str:
        """Absolute path of the folder of the run."""
        return self._folder.path

    @property
    def name(self) -> str | None:
        """Name of the run, or `None`."""
        return self._folder.name

    @property
    def tags(self) -> list[str]:
        """Tags of the run."""
        return self._folder.tags

    @property
    def is_journal_gone(self) -> bool:
        """Whether the journal was removed while the app was running: the run can't be resumed."""
        return self._recorder.is_journal_gone

    @property
    def error(self) -> BaseException | None:
        """The error that ended the app, or `None`."""
        return self._machine.error

    @property
    def api(self) -> Api | None:
        """The API of the app, or `None` if it has none."""
        return self._servers.api

    def check_cause(self, error: BaseException) -> None:
        """Check that an error which ends the app is not one of those that a removed run causes.

        Raises:
            JournalGone: The journal of the run was removed, which says more than the error.
        """
        if isinstance(error, _ERRORS_WITHOUT_FOLDER) and not self.is_journal_gone:
            self._recorder.check_existence()

    def open(self) -> None:
        """Start the works with `start_with_flow`, the command channel, the view and the page."""
        add_running(self._folder.path, self)
        self._clock.watch(self.runner.wake)
        self._terminal.on_gone = self.runner.wake
        self._record_output()
        now = self._clock.now()
        self._recorder.begin(now, self._survived)
        for request in self._machine.prepare():
            self.runner.send(request)
        self._carry_out(self._machine.open(now), now)
        self.layout.collect()
        self._servers.open_api(self._caller, self.flow_requests)
        self._servers.open_channel(Commands(self).answer)  # last, because the works start in parallel to it
        self._machine.accepts_handlers = self._servers.accepts_handlers
        if self._view is not None:
            self._view.start()
        self._open_page()

    def _open_page(self) -> None:
        """Start the server of the page, once it is wanted."""
        self._servers.open_page(self._terminal.write_unrecorded)

    def _collect_layout(self) -> None:
        """Collect the layout of the flows after a change."""
        self.layout.collect()
        self._open_page()

    def turn(self) -> bool:
        """Wait for reports, apply them, and run the flow after a change; return whether the app has ended."""
        self._busy_since = None
        fails_at_rest = self._has_reported_rest and self._is_at_rest and not is_kept(self._options.on_idle)
        reports = self.runner.wait(0.0 if fails_at_rest else self._seconds_to_wait())
        if self._suspend_refused:
            self._suspend_refused = False
            print_notice(
                "Ctrl-Z is ignored: works on other machines are stopped when the app sends no messages."
            )
        if self.flow_requests.is_asked:
            reports = [*reports, *self.flow_requests.take()]
        if self._end_requested or self._terminal.gone:
            self._unapplied += reports
            # SIGPIPE, as every program in a pipe: the reader of `app.py | head` has closed its end.
            raise SystemExit(128 + (signal.SIGTERM if self._end_requested else signal.SIGPIPE))
        if fails_at_rest and not reports:
            raise idle_error(self._machine.root.works())
        return self.deliver(reports)

    @property
    def _is_at_rest(self) -> bool:
        """Whether nothing can change any more, and no frontend is served."""
        return self._machine.is_at_rest and not self.layout.is_serving

    def end_from_outside(self) -> None:
        """Shut down the app as SIGTERM does; callable from any thread, and more than once.

        `app.run()` raises `SystemExit` with the code 143. In the main thread, this interrupts a running pass
        of the flow. If Python handles no signals here, in another thread or with a handler of the user, the
        app ends after the pass.
        """
        if not self._end_lock.acquire(blocking=False):
            return
        if self.signals is None or not self.signals.end_from_outside():
            self._end_requested = True
            self.runner.wake()

    def deliver(self, reports: Sequence[Report]) -> bool:
        """Let the machine apply reports, and run a pass if it wants one; return whether the app has ended."""
        machine, now, num_passes = self._machine, self._clock.now(), self._machine.num_passes
        self._busy_since = now.monotonic
        if machine.is_waiting:  # within a pass, which continues when this has returned
            self._carry_out(machine.step(now, reports), now)
            self._show_works(now)
            return machine.ended
        self._waited = 0.0
        try:
            self._carry_out(machine.step(now, reports), now)
            if machine.wants_pass and machine.num_passes == num_passes:
                self._carry_out(machine.step(now), now)
        except _LoopEnded:
            return True
        if self.layout.is_stale and not machine.ended:
            self._collect_layout()
        if machine.num_passes > num_passes:
            self._warn_if_slow(self._clock.now().monotonic - now.monotonic - self._waited)
        self._show_works(now)
        if machine.error is not None and machine.failed_work:
            work = machine.failed_work
            add_last_output(machine.error, work, self._folder.logs, machine.last_attempt_of(work))
        if not self._has_reported_rest and self._is_at_rest and not machine.ended:
            self._has_reported_rest = True
            print_notice(rest_notice(self._options.on_idle))
        return machine.ended

    def _show_works(self, now: Moment) -> None:
        """Redraw the view, and from time to time note the states of the works for `ps`."""
        if self._view is not None:
            self._view.request_redraw()
        if now.monotonic >= self._note_at:
            self._note_at = now.monotonic + _NOTE_INTERVAL
            self._folder.note_works(self._count_works())

    def _exchange(self, step: Step) -> None:
        """Carry out the step of a pass that waits for a call, and make the next turn of the loop."""
        began = self._machine.now
        self._carry_out(step, began)
        if self.layout.is_stale:
            self._collect_layout()
        if self._run_once() and not self._machine.ended:
            self.loop_ended = True
            raise _LoopEnded  # a hook of `LightningTestApp` ends the app
        # Since the reports have arrived, the flow is busy: it continues now.
        self._waited += max(0.0, (self._busy_since or 0.0) - began.monotonic)

    def close(self, state: Literal["stopped", "failed", "interrupted"], error: BaseException | None) -> None:
        """Shut down all works, apply their last reports, and record how the run ended.

        Args:
            state: How the run ended.
            error: The exception that ended it, or `None`.
        """
        remove_running(self._folder.path)
        self.flow_requests.close()  # first, so that no request waits while works are shut down
        reports = list(self._unapplied)
        try:
            reports += self.runner.close(timeouts.STOP_TIMEOUT)
        finally:
            try:
                self._close(state, error, reports)
            except JournalGone as gone:
                if error is None:
                    raise
                print_notice(str(gone))  # the app ends for another reason, which its user has to see

    def _close(
        self,
        state: Literal["stopped", "failed", "interrupted"],
        error: BaseException | None,
        reports: list[Report],
    ) -> None:
        # On a stack, so that an error in one step does not prevent the others.
        with ExitStack() as ends:
            ends.callback(self._servers.close_page)  # last, so that it still shows how the run has ended
            ends.callback(self._recorder.close, self._folder.note_journal_end)
            # It writes into the folder, so before the lock of that is released.
            ends.callback(self.layout.close)
            ends.callback(self._note_end, state, error)
            ends.callback(self._close_flow_log, error)
            ends.callback(self._terminal.close)
            if self._view is not None:
                ends.callback(self._view.close, state, self._machine.root.works())
            ends.callback(self._close_machine, reports)
            ends.callback(self._clock.watch, None)
            ends.callback(self._servers.close_channel)

    def _record_output(self) -> None:
        """Write the output of the flow to its log; if that fails, the app runs without it."""
        try:
            self._flow_log = FlowLog(self._folder.logs)
        except RuntimeError as error:  # there are too many threads
            _log.warning("the output of the flow is not logged: %s", error)
        else:
            self._terminal.record(self._flow_log.write)

    def _close_flow_log(self, error: BaseException | None) -> None:
        if self._flow_log is not None:
            if isinstance(error, Exception):  # Python prints it later, if nothing handles it
                self._flow_log.write("stderr", format_user_frames(error))
            self._flow_log.close()

    def _close_machine(self, reports: list[Report]) -> None:
        now = self._clock.now()
        step = self._machine.close(now, reports)
        if not self._recorder.is_journal_gone:
            self._record(step.events, now)
        if not self._recorder.has_unwritten:
            self._remove_values(step)

    def _note_end(self, state: str, error: BaseException | None) -> None:
        """Record how the run has ended, while its lock prevents a resume by another process."""
        shown = _describe_error(error) if error is not None and state == "failed" else None
        try:
            self._folder.note_end(state, self._count_works(), shown)
        except RunnerError:
            if not self._recorder.is_journal_gone:
                raise

    def _count_works(self) -> Counter[str]:
        return Counter(map(state_to_record, self._machine.supervisors()))

    def on_suspend(self) -> None:
        """Hide the view before Ctrl-Z suspends the app; called in the signal handler."""
        if self._view is not None:
            self._view.hide()

    def on_suspend_refused(self) -> None:
        """Let the next turn say that Ctrl-Z has no effect; called in the signal handler."""
        self._suspend_refused = True
        self.runner.wake()

    def on_resume(self, seconds: float) -> None:
        """Exclude the seconds of a suspension by Ctrl-Z from timeouts, and redraw the view."""
        self._clock.exclude(seconds)
        if self._view is not None:
            self._view.request_redraw()

    def snapshot_works(self) -> list[WorkRow]:
        """Return a snapshot of all works in the tree; callable from any thread."""
        places = self.runner.places()
        return [snapshot_work(supervisor, places) for supervisor in self._machine.supervisors()]

    def busy_for(self) -> float | None:
        """Return how many seconds the flow has been busy, `None` if it waits; callable from any thread."""
        since = self._busy_since
        return None if since is None else self._clock.now().monotonic - since

    @property
    def is_waiting(self) -> bool:
        """Whether a pass of the flow waits for a call; readable from any thread."""
        return self._machine.is_waiting

    @property
    def last_pause(self) -> BaseException | None:
        """The exception that has cut the last pass of the flow, or `None`; readable from any thread."""
        return self._machine.last_pause

    def _carry_out(self, step: Step, now: Moment) -> None:
        """Send the requests of a step, and write its events to the journal while the works read them.

        If the app dies in between, the resumed flow requests the calls again. A resumed run writes first, so
        that the journal counts a call that kills the app. A step with a failure is written first, too,
        because its report quotes the last output of the work.
        """
        writes_first = self._is_resumed or CallFailed in map(type, step.events)
        if writes_first:
            self._record(step.events, now)
        try:
            for request in step.requests:
                self.runner.send(request)
        finally:
            if not writes_first:  # also after Ctrl-C, because later events refer to these
                self._record(step.events, now)
        if step.unneeded or step.has_exits:
            self._remove_values(step)
        for answer in step.answers:
            answer()

    def _remove_values(self, step: Step) -> None:
        """Remove the big values that nothing needs after a step; the journal already says so."""
        folder = self._folder.values
        for packed in step.unneeded:
            remove_files_of(packed, folder)
        # A process may have been killed after it wrote a file, and before it sent the reference.
        if step.has_exits and os.path.lexists(folder):
            # On all hosts, because a work on another one that sees the root writes here, too. The name of a
            # file has no host: at worst, a file is kept until the next exit.
            writers = {os.getpid(), *(place.pid for place in self.runner.places().values())}
            value_files().remove_unreferenced(folder, self._machine.big_values(), writers)

    def _record(self, events: list[Event], now: Moment) -> None:
        """Write events to the journal, and report failed calls after which the app continues."""
        self._recorder.record(events, now)
        layout = self.layout
        if events and layout.is_wanted:
            layout.is_stale = True
        for event in events:
            if type(event) is CallFailed:
                work = event.component
                began = self._machine.last_attempt_of(work)
                report_failure(work, event.failure, self._folder.logs, began)
            elif type(event) is ComponentAttached and not event.is_work:
                layout.is_stale = True  # the new flow may show something

    def _seconds_to_wait(self) -> float | None:
        """Return how long to wait for reports, in seconds; `None` means no limit."""
        if self._machine.wants_pass:
            return 0.0
        timer, recorder_due = self._machine.wake_at, self._recorder.wake_at
        if timer is None or (recorder_due is not None and recorder_due < timer):
            timer = recorder_due
        return None if timer is None else self._clock.seconds_until(timer)

    def _warn_if_slow(self, seconds: float) -> None:
        self._durations.append(seconds)
        if sum(self._durations) > _SLOW_SECONDS * _SLOW_SAMPLES and len(self._durations) == _SLOW_SAMPLES:
            self._durations.clear()
            warn_at(
                self._root.run,
                f"The last {_SLOW_SAMPLES} passes of the flow took more than {_SLOW_SECONDS:g} s each on "
                "average. During a pass the app handles no reports: move slow code into a LightningWork.",
                LightningFlowWarning,
            )


def _modules_for_works(start_method: str) -> list[str]:
    """Return the modules that the works of this app need; imported early, while the main process pickles."""
    modules = ["lightning_lite.engine.work_machine"]
    if "lightning_lite.storage.drive" in sys.modules:
        modules.append("lightning_lite.storage.drive")
    if start_method == "forkserver":  # works share the imports of the server, even if few need it
        modules.append("lightning_lite.values.definitions")
    return modules


def _pack_setup(options: RunOptions) -> bytes | None:
    """Return the function of `LightningApp(setup=...)` for the processes of works.

    Raises:
        ArgumentError: It can't be pickled.
    """
    if options.setup is None:
        return None
    try:
        return pack(options.setup)
    except PackingError as error:
        raise ArgumentError(
            f"LightningApp(setup=...): the function can't be sent to works: {error}."
        ) from find_user_error(error)


def _describe_error(error: BaseException) -> str:
    """Return an exception in one line."""
    return one_line(mask(f"{type(error).__name__}: {text_of(error)}"))
