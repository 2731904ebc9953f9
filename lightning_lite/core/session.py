"""One run of an app: machine, runner, journal and terminal, and the one place that all letters pass.

runner.wait ──reports──▶ recorder.hear ──▶ machine ──▶ recorder.follow ──requests──▶ runner.send
     ▲                                                                                    │
     └──────────────────────────────────── works ◀───────────────────────────────────────┘
"""

from __future__ import annotations

import os
import signal
import sys
import time
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Literal

from lightning_lite import settings
from lightning_lite.clock import Clock, Moment
from lightning_lite.context import Caller
from lightning_lite.core.calls import CallBook
from lightning_lite.core.flow import LightningFlow, LightningFlowWarning, RootFlow
from lightning_lite.core.identity import class_identity
from lightning_lite.core.machine import Machine
from lightning_lite.core.past import Past
from lightning_lite.core.recorder import Recorder
from lightning_lite.errors import RunnerError
from lightning_lite.messages import Report, Request, RunCall
from lightning_lite.runners.inline import InlineRunner
from lightning_lite.runners.processes import ProcessRunner
from lightning_lite.runners.seam import Runner
from lightning_lite.runs.cleaning import clean_runs
from lightning_lite.runs.folder import RunFolder
from lightning_lite.runs.journal import Journal
from lightning_lite.runs.resumable import find_resumable, run_path
from lightning_lite.ui.report import show_failure
from lightning_lite.ui.terminal import Terminal

_SLOW_SECONDS = 1.0
_SLOW_SAMPLES = 5


class Session:
    """One run of an app, from its folder on disk to the end of its last process.

    Args:
        root: The root flow.
        runner: `processes` or `inline`.
        root_dir: Absolute folder that holds everything.
        durable: Whether what is written must survive the loss of power.
        max_running: How many works run a call at once, or `None`.
        clock: What tells the time.
        resume: Whether to go on with the latest run that its flow did not end, or the id of a run.
        retry_failed: Whether calls that have failed in that run are run again.

    Raises:
        RunnerError: The machine refuses what is needed; or there is no such runner.
        JournalError: The run can't be resumed; the error says why.
        PoisonCall: The run that is to be resumed died of the same call again and again.

    Attributes:
        run_id: Id of the run, the name of its folder.
        runner: What carries the letters.
    """

    def __init__(
        self,
        root: LightningFlow,
        *,
        runner: str,
        root_dir: str,
        durable: bool,
        max_running: int | None,
        clock: Clock,
        resume: bool | str,
        retry_failed: bool,
    ) -> None:
        if runner not in _RUNNERS:
            raise RunnerError(f"There is no runner {runner!r}; there are 'processes' and 'inline'.")
        for work in root.works():
            work._book = CallBook()
        self._clock = clock
        self._suspended = 0.0  # seconds that Ctrl-Z took: time limits pause meanwhile
        self._durations: deque[float] = deque(maxlen=_SLOW_SAMPLES)
        self._has_said_rest = False
        self._machine = Machine(root, Caller("flow", "root", root_dir, durable), max_running)
        path = _find_run(root, root_dir, resume) if resume else None
        self._folder, journal = _open_run(root, root_dir, durable, path, retry_failed)
        try:
            self.run_id = self._folder.id
            clean_runs(root_dir, now=time.time())  # now that the run is held, it is not an old one
            self._terminal = Terminal()
            self.runner = _RUNNERS[runner](root_dir, self._folder.logs, self._terminal, durable)
        except BaseException:
            self._folder.ended("failed")
            journal.close()
            raise
        self._recorder = Recorder(journal)

    @property
    def error(self) -> BaseException | None:
        """What has ended the app, if it did not end well."""
        return self._machine.error

    def open(self) -> None:
        """Start the declared works."""
        self._clock.watch(self.runner.wake)
        self._terminal.on_gone = self.runner.wake
        now = self._now()
        self._recorder.begin(now)
        self._send(self._machine.open(now))
        self._write_down(now)

    def turn(self) -> bool:
        """Wait for letters, apply them, run the flow if something changed; return whether the app is over."""
        reports = self.runner.wait(self._patience())
        if self._terminal.gone:
            # As every program in a pipe does: who reads `app.py | head` has seen enough.
            raise SystemExit(128 + signal.SIGPIPE)
        return self.deliver(reports)

    def deliver(self, reports: Sequence[Report]) -> bool:
        """Take letters to the journal and to the machine, and the machine's letters to the runner."""
        machine, now, num_passes = self._machine, self._now(), self._machine.num_passes
        self._recorder.hear(reports, machine)
        requests = machine.apply(now, reports)
        if machine.has_failures or any(type(request) is RunCall for request in requests):
            self._write_down(now)  # failures before the flow sees them, calls before they are sent
        self._send(requests)  # at once: no work waits for the pass
        try:
            requests = machine.run(now)
        finally:
            self._write_down(now)
        self._send(requests)
        if machine.num_passes > num_passes:
            self._warn_if_slow(self._now().monotonic - now.monotonic)
        if machine.is_at_rest and not self._has_said_rest and not machine.ended:
            self._has_said_rest = True
            _say(
                "Nothing can change any more: no call is under way and the flow has nothing to do. "
                "Press Ctrl-C to end the app, or let the flow call self.stop()."
            )
        return machine.ended

    def close(self, state: Literal["stopped", "failed", "interrupted"]) -> None:
        """End all works in order, take what they still had to say, and write down how the run ended."""
        machine = self._machine
        try:
            reports = self.runner.close(settings.STOP_TIMEOUT)
            self._recorder.hear(reports, machine)
            machine.apply_last(self._now(), reports)
        finally:
            self._clock.watch(None)
            machine.close(self._now())
            self._terminal.close()
            try:
                self._write_down(self._now())
                self._folder.ended(state)  # while nobody else can take up the run
            finally:
                self._recorder.close()

    def on_resume(self, seconds: float) -> None:
        """Hear that the app stood still, after Ctrl-Z."""
        self._suspended += seconds

    def _write_down(self, now: Moment) -> None:
        """Take what has changed to the journal, and failures that the app survives to the terminal."""
        facts = self._machine.take_facts()
        self._recorder.follow(facts, now)
        for work, _, failure in facts.completed:
            show_failure(work, failure)

    def _send(self, requests: list[Request]) -> None:
        for request in requests:
            self.runner.send(request)

    def _patience(self) -> float | None:
        """Return how long to wait for letters, in seconds."""
        if self._machine.wants_pass:
            return 0.0
        moments = [at for at in (self._machine.wake_at, self._recorder.wake_at) if at is not None]
        return self._clock.seconds_until(min(moments) + self._suspended) if moments else None

    def _now(self) -> Moment:
        now = self._clock.now()
        return now._replace(monotonic=now.monotonic - self._suspended) if self._suspended else now

    def _warn_if_slow(self, seconds: float) -> None:
        self._durations.append(seconds)
        if len(self._durations) == _SLOW_SAMPLES and sum(self._durations) / _SLOW_SAMPLES > _SLOW_SECONDS:
            self._durations.clear()
            warnings.warn(
                f"The last {_SLOW_SAMPLES} passes of the flow took more than {_SLOW_SECONDS:g} s each on "
                "average. Meanwhile the app hears of nothing: move what takes long into a LightningWork.",
                LightningFlowWarning,
                stacklevel=2,
            )


_RUNNERS: dict[str, Callable[[str, str, Terminal, bool], Runner]] = {
    "processes": ProcessRunner,
    "inline": InlineRunner,
}


def _find_run(root: LightningFlow, root_dir: str, resume: bool | str) -> str | None:
    """Return the folder of the run that is to be resumed, or `None` if there is none."""
    if isinstance(resume, str):
        return run_path(root_dir, resume)
    path = find_resumable(root_dir, _identity(root))
    if path is None:
        _say(f"There is nothing to resume for {_top(root).__qualname__} in {root_dir}: a new run begins.")
    return path


def _open_run(
    root: LightningFlow, root_dir: str, durable: bool, path: str | None, retry_failed: bool
) -> tuple[RunFolder, Journal]:
    """Return the folder and the journal of the run in `path`, its past handed over; or of a new run."""
    identity = _identity(root)
    if path is None:
        folder = RunFolder.create(root_dir, app=_top(root).__qualname__, identity=identity)
        return folder, Journal.create(folder.path, identity, durable=durable)
    journal = Journal.open(path, identity, durable=durable)
    try:
        # First, because a run that is refused stays as it was.
        _hand_over(Past(os.path.basename(path), journal.records()), root, retry_failed)
        return RunFolder.reopen(path), journal
    except BaseException:
        journal.close()
        raise


def _top(root: LightningFlow) -> type[Any]:
    """Return the class that the user calls the root of the app."""
    return type(root.work if isinstance(root, RootFlow) else root)


def _identity(root: LightningFlow) -> str:
    return ":".join(class_identity(_top(root)))


def _hand_over(past: Past, root: LightningFlow, retry_failed: bool) -> None:
    if retry_failed:
        past.forget_failures()
    else:
        past.check_poison()
    _say(
        f"Run {past.run} goes on: calls that are taken over: {past.num_completed}, "
        f"calls that are run again when the flow asks for them: {past.num_again}."
    )
    past.hand_over(root)


def _say(line: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()
