"""Commands from other terminals to a running app; called in the thread of the command channel.

    stop, kill, restart   of a work: the runner acts at once, and the machine gets a request
    stop                  of the app: as with SIGTERM
    status, stack, layout read only
    http                  a request to the API of the app
    delta                 changes of the state

Only the last two wait for the flow, which may be busy for any time: other threads make their answers.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

from lightning_lite import timeouts
from lightning_lite.app.flow_requests import FlowRequests
from lightning_lite.app.shown_layout import ShownLayout
from lightning_lite.app.state_changes import apply_changes, read_changes
from lightning_lite.errors import AppEnding, CommandError, NoAnswer, StateConflict, StateError
from lightning_lite.main_messages import ExternalRequest, RestartWanted, StopWanted
from lightning_lite.runners.base import Runner
from lightning_lite.runners.command_channel import Later
from lightning_lite.tracebacks import format_user_stack, format_user_trace
from lightning_lite.tree.flow import LightningFlow
from lightning_lite.work_row import WorkRow

#: The last line of the stack of a flow that is not busy: in a pass, after one that was cut, and after others.
_WAITS_FOR_CALL = "The flow waits at this line until a call has ended.\n"
_WAS_CUT = (
    "The last pass of the flow was cut at this line, because a call had not ended: the flow runs again from "
    "its first line after the next change.\n"
)
_WAITS_FOR_CHANGE = "No pass of the flow is running: the app waits for the next change.\n"

#: The status of HTTP for each error of a change of the state.
_STATUSES = {StateConflict: 409, StateError: 422, AppEnding: 503, NoAnswer: 504}


class Api(Protocol):
    """The part of `app_api.AppApi` that is used here; that module is loaded only for an app with routes."""

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Answer one request of HTTP; it may wait for the flow."""

    def close(self) -> None:
        """End its thread."""


class Commanded(Protocol):
    """The part of a running app that commands use; callable from any thread.

    Attributes:
        runner: The runner of its works.
        layout: The layout of its pages.
        thread: Identifier of the thread that runs the flow.
        flow_requests: The requests of other threads to the flow.
    """

    runner: Runner
    layout: ShownLayout
    flow_requests: FlowRequests
    thread: int

    @property
    def api(self) -> Api | None:
        """The API of the app, or `None` if it has none."""

    @property
    def root(self) -> LightningFlow:
        """The root flow."""

    def busy_for(self) -> float | None:
        """Return for how many seconds the flow has been busy, or `None` if it waits."""

    @property
    def is_waiting(self) -> bool:
        """Whether a pass of the flow waits for a call."""

    @property
    def last_pause(self) -> BaseException | None:
        """The exception that has cut the last pass of the flow, or `None`."""

    def snapshot_works(self) -> Sequence[WorkRow]:
        """Return a snapshot of all works in the tree."""

    def end_from_outside(self) -> None:
        """Shut down the app."""


class Commands:
    """Executes requests: dicts with the name of a `command`, and, if it needs them, a `work` and a `timeout`.

    Args:
        app: The app that they control.
    """

    def __init__(self, app: Commanded) -> None:
        self._app = app
        self._verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any] | Later]] = {
            "status": self._status,
            "stop": self._stop,
            "kill": self._kill,
            "restart": self._restart,
            "stack": self._stack,
            "layout": self._layout,
            "http": self._http,
            "delta": self._change_state,
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any] | Later:
        """Execute a request without waiting for its effect, and return the answer, or how to make it.

        Raises:
            CommandError: There is no such command or work, an argument is invalid, or the runner does not
                support the command.
        """
        name = request.get("command")
        verb = self._verbs.get(name) if isinstance(name, str) else None
        if verb is None:
            raise CommandError(f"there is no command {name!r}; there are {', '.join(self._verbs)}")
        return verb(request)

    def _status(self, _: dict[str, Any]) -> dict[str, Any]:
        return {
            "pid": os.getpid(),
            "busy": self._app.busy_for(),
            "works": [row._asdict() for row in self._app.snapshot_works()],
        }

    def _stop(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("work") is None:
            self._app.end_from_outside()
        else:
            self._end(StopWanted(self._work(request), _timeout(request)))
        return {}

    def _kill(self, request: dict[str, Any]) -> dict[str, Any]:
        self._end(StopWanted(self._work(request), 0.0))
        return {}

    def _restart(self, request: dict[str, Any]) -> dict[str, Any]:
        self._end(RestartWanted(self._work(request), _timeout(request)))
        return {}

    def _end(self, wanted: ExternalRequest) -> None:
        """Let the runner end a work.

        Raises:
            CommandError: It can't.
        """
        runner = self._app.runner
        if not runner.can_take_external:
            raise CommandError(f"{type(runner).__name__} can't end works on request from another terminal.")
        if wanted.timeout == 0 and not runner.can_kill:
            raise CommandError(
                f"{wanted.work} has no process that could be killed: its runner runs works in the process of "
                "the app. Stop it; that takes effect at its next change of state"
            )
        runner.take_external(wanted)

    def _stack(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("work") is not None:
            work, runner = self._work(request), self._app.runner
            if not runner.can_write_stacks:
                raise CommandError(f"{type(runner).__name__} can't show the stacks of works.")
            runner.write_stacks(work)
            return {}
        is_busy, is_waiting = self._app.busy_for() is not None, self._app.is_waiting
        frame = sys._current_frames().get(self._app.thread)
        if frame is None:
            return {"stack": ""}
        if is_busy:
            return {"stack": "".join(traceback.format_stack(frame))}
        stack, pause = format_user_stack(frame), self._app.last_pause
        if is_waiting:
            return {"stack": stack + _WAITS_FOR_CALL}
        if pause is not None:
            return {"stack": stack + format_user_trace(pause) + _WAS_CUT}
        return {"stack": stack + _WAITS_FOR_CHANGE}

    def _layout(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"layout": self._app.layout.snapshot()}

    def _http(self, request: dict[str, Any]) -> dict[str, Any] | Later:
        if self._app.api is None:
            return {"status": 404, "headers": [], "body": ""}
        return Later(partial(self._app.api.answer, request))

    def _change_state(self, request: dict[str, Any]) -> dict[str, Any] | Later:
        """Change the state, and answer with the status of HTTP for the outcome."""

        def change() -> dict[str, Any]:
            try:
                changes = read_changes(request.get("changes"))
                self._app.flow_requests.ask(partial(apply_changes, self._app.root, changes))
            except (StateError, AppEnding, NoAnswer) as error:
                return {"status": _STATUSES[type(error)], "error": str(error)}
            return {"status": 200, "error": None}

        return Later(change)

    def _work(self, request: dict[str, Any]) -> str:
        name = request.get("work")
        if not isinstance(name, str) or all(row.name != name for row in self._app.snapshot_works()):
            raise CommandError(f"there is no work {name!r}")
        return name


def _timeout(request: dict[str, Any]) -> float:
    timeout = request.get("timeout", timeouts.STOP_TIMEOUT)
    if type(timeout) not in (int, float) or not 0 <= timeout < float("inf"):
        raise CommandError(f"timeout must be a number of seconds, 0 or more; found {timeout!r}")
    return float(timeout)
