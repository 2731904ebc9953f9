"""An app that runs in a background thread: for notebooks, the prompt and larger programs.

app.start() ─▶ RunningApp ── thread ──▶ the same as app.run()
                  │ stop ──────────────▶ Session.end_from_outside
                  └ wait, logs, state
"""

from __future__ import annotations

import atexit
import os
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Self

from lightning_lite import timeouts
from lightning_lite.app.end_hooks import state_after
from lightning_lite.app.reporting import print_notice
from lightning_lite.colour_codes import without_colours
from lightning_lite.errors import ComponentError
from lightning_lite.harmless_text import one_line
from lightning_lite.html_tables import html_table, html_title
from lightning_lite.masking import mask
from lightning_lite.runners.output.flow_log import FLOW
from lightning_lite.runners.output.log_reader import RunLogs, list_logs
from lightning_lite.work_lookup import find_work_name

if TYPE_CHECKING:
    from lightning_lite.app.session import Session

#: Seconds between two checks for Ctrl-C while waiting: one that arrives just before a wait does not end it.
_CHECK_INTERVAL = 0.5


class RunningApp:
    """Handle of an app that runs in a thread; `app.start()` returns it.

    As a context manager, it stops the app at the end of the block, and raises the error of a failed app.

    Example:
        >>> from lightning_lite import LightningApp, LightningFlow
        >>> class Hello(LightningFlow):
        ...     def run(self):
        ...         self.stop("Hello!")
        >>> running = LightningApp(Hello()).start(); running.wait()
        Hello!
        >>> running.state
        'stopped'
    """

    def __init__(
        self,
        name: str,
        run_app: Callable[[Callable[[Session], None]], None],
        shorten: Callable[[BaseException], None],
    ) -> None:
        self._name = name
        self._run_app = run_app
        self._shorten = shorten
        self._session: Session | None = None
        self._has_begun = threading.Event()  # also set if the start failed
        self._has_ended = threading.Event()
        self._stop_requested = False
        self._num_waiting = 0
        self._error: BaseException | None = None
        self._trace: TracebackType | None = None
        self._state = "running"
        # A daemon, because Python joins other threads before it calls the handlers of atexit.
        self._thread = threading.Thread(target=self._main, name="lightning-lite-app", daemon=True)
        atexit.register(self._end_at_exit)
        self._thread.start()

    @property
    def running(self) -> bool:
        """Whether the app has not ended yet."""
        return not self._has_ended.is_set()

    @property
    def done(self) -> bool:
        """Whether the app has ended, with or without an error."""
        return not self.running

    @property
    def state(self) -> str:
        """`running`, or `stopping` after `stop`; then `stopped`, `failed` or `interrupted`.

        `stopped` means that the flow ended the app, also with `sys.exit(0)`; `interrupted`, that `stop`, a
        signal or a command did.
        """
        return "stopping" if self._stop_requested and self.running else self._state

    @property
    def run_id(self) -> str:
        """Id of the run, the name of its folder; "" before it has started."""
        return self._session.run_id if self._session is not None else ""

    def wait(self, timeout: float | None = None) -> None:
        """Wait until the app has ended, and raise the exception that `app.run()` would have raised.

        Ctrl-C, and the interruption of a cell, end the wait but not the app.

        Args:
            timeout: Maximum number of seconds to wait; `None` means no limit.

        Raises:
            TimeoutError: The app is still running.
            Exception: The error of a failed app, see `LightningApp.run`.
            SystemExit: A signal or a command, not `stop`, has ended the app; or the flow called `sys.exit`.
        """
        self._num_waiting += 1
        try:
            self._join(timeout)
        finally:
            self._num_waiting -= 1
        if self._error is not None:
            raise self._error.with_traceback(self._trace)

    def stop(self, timeout: float | None = None) -> None:
        """Shut down the app, and wait until it has ended; do nothing if it has ended already.

        A running pass of the flow first runs on until its end or until it waits for a call.

        Args:
            timeout: Maximum number of seconds to wait; `None` means no limit.

        Raises:
            TimeoutError: The app has not ended yet.
        """
        self._stop_requested = True
        if threading.current_thread() is not self._thread:
            self._has_begun.wait(timeout)
        if self._session is not None and self.running:
            self._session.end_from_outside()
        if threading.current_thread() is not self._thread:
            self._join(timeout)

    def logs(self, work: str | None = None, n: int | None = None) -> str:
        """Return the output of the flow and the works up to now, without colours.

        Args:
            work: Name of the work or the end of it, or `root` for the flow. `None` returns the lines of all
                in the order of their times, each after the name of its work.
            n: Number of the last lines of each work; `None` returns all lines.

        Raises:
            ComponentError: `n` is not a valid number of lines, no work has this name, or several have.
        """
        if n is not None and (type(n) is not int or n < 0):
            raise ComponentError(f"n must be a whole number, 0 or more, or None. Found {n!r}")
        if work is not None and not isinstance(work, str):
            raise ComponentError(f"work must be the name of a work, or None. Found {work!r}")
        if self._session is None:
            return ""
        works = [] if work is None else [self._find_work(self._session, work)]
        lines = RunLogs(self._session.folder, works, nlines=n).read(to_end=True)
        prefix = "" if work is not None else "{} | "
        return "".join(f"{prefix.format(line.work)}{without_colours(line.text)}\n" for line in lines)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        if error is None:
            self.wait()

    def __repr__(self) -> str:
        run = f", run {self.run_id}" if self.run_id else ""
        return f"<{self._name}: {self.state}{run}>"

    def _repr_html_(self) -> str:
        run = f", run {self.run_id}" if self.run_id else ""
        rows = [
            (row.name, "stopped" if self.done and row.state == "started" else row.state, row.call or "")
            for row in (self._session.snapshot_works() if self._session is not None else ())
        ]
        return html_title(f"{self._name}: {self.state}{run}") + html_table(["work", "status", "call"], rows)

    def _main(self) -> None:
        try:
            self._run_app(self._take_session)
            self._state = "stopped"
        except BaseException as error:  # noqa: BLE001 - `wait` raises it
            self._shorten(error)
            self._state, self._error, self._trace = state_after(error), error, error.__traceback__
            if self._state != "failed":
                if self._stop_requested:
                    self._error = None
            elif not self._num_waiting:
                what = traceback.format_exception_only(error)[0].strip()
                line = mask(f"{self._name} failed: {what}; its handle's wait() raises it.")
                print_notice(one_line(line, 500))
        finally:
            atexit.unregister(self._end_at_exit)
            self._has_ended.set()
            self._has_begun.set()

    def wait_for_begin(self) -> None:
        """Wait until the run has begun, or could not begin; at once in the thread of the app."""
        if threading.current_thread() is not self._thread:
            self._has_begun.wait()

    def _find_work(self, session: Session, work: str) -> str:
        """Return the full name of a work; one that the flow has removed has a log, too."""
        names = {FLOW, *(row.name for row in session.snapshot_works())}
        names.update(list_logs(os.path.join(session.folder, "logs")))
        return find_work_name(work, names, f"run {session.run_id}")

    def _take_session(self, session: Session) -> None:
        self._session = session
        self._has_begun.set()

    def _join(self, timeout: float | None) -> None:
        until = None if timeout is None else monotonic() + timeout
        # Not `Thread.join`: before Python 3.13, Ctrl-C makes it believe that the thread has ended.
        while not self._has_ended.wait(
            _CHECK_INTERVAL if until is None else min(_CHECK_INTERVAL, until - monotonic())
        ):
            if until is not None and monotonic() >= until:
                raise TimeoutError(f"{self._name} has not ended within {timeout:g} s.")
        self._thread.join()

    def _end_at_exit(self) -> None:
        with suppress(TimeoutError):  # a flow that never ends its pass
            self.stop(2 * timeouts.STOP_TIMEOUT)
