"""`AppStateWatcher`: calls functions of a page when the state of the app has changed.

The library `param`, on which Panel is built, calls them; so a page of Panel is drawn again by its own means.
"""

from __future__ import annotations

import sys
from copy import copy
from threading import Event, Lock, Thread
from typing import Any, ClassVar, Self

from lightning_lite.app_state import AppState, part_of, run_of
from lightning_lite.extras import check_installed
from lightning_lite.runs.catalog import read_run
from lightning_lite.tracebacks import format_user_frames
from lightning_lite.values.json_form import are_equal

check_installed("AppStateWatcher", "lightning", "param")

import param  # noqa: E402 - after the check, whose error names the extra

#: Seconds between two looks at the journal of the run; if it has not grown, a look reads nothing.
_INTERVAL = 0.1


class AppStateWatcher(param.Parameterized):  # type: ignore[misc] # param has no types
    """The state of the flow that shows a page, for `param` and Panel: `state` is set after each change.

    A process has one object as long as the app runs: each call of the class returns it. Functions that
    depend on `param.state` are called in a thread of this object, for the last time when the run has ended.
    After that a call of the class returns a new object, of the newest run at that time.

    Attributes:
        state: An `AppState` of the flow; in a work, of the work; in a script, of the newest app that runs.
            Its attributes can be assigned.

    Raises:
        AttributeError: No app runs.
        ModuleNotFoundError: `param` is not installed; raised by the import.
    """

    state: AppState = param.ClassSelector(
        class_=AppState, constant=True, doc="The state of the flow, as of now at each access."
    )

    _only: ClassVar[AppStateWatcher | None] = None
    _lock: ClassVar[Lock] = Lock()

    def __new__(cls) -> Self:
        """Return the one object of this process for the run that is still running."""
        with cls._lock:
            if cls._only is None or not cls._only._goes_on():
                new = super().__new__(cls)
                new._begin(AppState())
                cls._only = new
            return cls._only

    def __init__(self) -> None:
        """Do nothing: `__new__` has prepared the object, and each call of the class comes here."""

    def _begin(self, state: AppState) -> None:
        super().__init__(name="singleton")
        self._set(state)
        self._run = run_of(state)
        self._thread = Thread(
            target=self._watch, args=(part_of(state),), name="lightning-lite-state-watcher", daemon=True
        )
        self._thread.start()

    def _goes_on(self) -> bool:
        """Return whether the run has not ended, and has not been resumed after its end."""
        return self._thread.is_alive() and read_run(self._run).state in ("running", "unknown")

    def _set(self, state: AppState) -> None:
        with param.edit_constant(self):
            self.state = state

    def _watch(self, shown: dict[str, Any]) -> None:
        pause, goes_on = Event(), True
        while goes_on and not pause.wait(_INTERVAL):
            state = self.state
            goes_on = self._goes_on()  # before the look, which then sees the last change
            try:
                part = part_of(state)
            except AttributeError:  # the app has ended, and its run was removed
                return
            if part is shown or are_equal(part, shown):
                continue
            shown = part
            try:
                # Another object, because `param` takes the same one for no change.
                self._set(copy(state))
            except (Exception, SystemExit) as error:  # noqa: BLE001 - of a function of the user, called again
                sys.stderr.write(format_user_frames(error))
