"""What a running app does when another terminal asks it to; called in the thread of the channel.

    stop, kill, restart   a work: its runner begins at once, and the machine gets a letter like any other
    stop                  the app: as by SIGTERM
    status, stack         a look

None of it waits for the flow, which may be busy for as long as it likes.
"""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lightning_lite import settings
from lightning_lite.errors import CommandError
from lightning_lite.messages import RestartWanted, StopWanted
from lightning_lite.runners.base import Steerable
from lightning_lite.ui.live_table import WorkRow


class Commanded(Protocol):
    """A running app as its commands see it; for any thread.

    Attributes:
        runner: What carries its letters.
        thread: Identifier of the thread in which its flow runs.
    """

    runner: Any
    thread: int

    def busy_for(self) -> float | None:
        """Return since how many seconds its flow runs, `None` if it waits."""

    def snapshot_works(self) -> Sequence[WorkRow]:
        """Return what is to be seen of all works in the tree."""

    def end_from_outside(self) -> None:
        """End the app in order."""


class Commands:
    """Answers requests: dicts with the name of a `command`, and where it needs them a `work` and a `timeout`.

    Args:
        app: What they are about.
    """

    def __init__(self, app: Commanded) -> None:
        self._app = app
        self._verbs: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "status": self._status,
            "stop": self._stop,
            "kill": self._kill,
            "restart": self._restart,
            "stack": self._stack,
        }

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked for as far as it can be done at once, and return what there is to say.

        Raises:
            CommandError: There is no such command or work, or an argument makes no sense.
            RunnerError: The runner can't do it.
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
            self._runner().take_external(StopWanted(self._work(request), _timeout(request)))
        return {}

    def _kill(self, request: dict[str, Any]) -> dict[str, Any]:
        self._runner().take_external(StopWanted(self._work(request), 0.0))
        return {}

    def _restart(self, request: dict[str, Any]) -> dict[str, Any]:
        self._runner().take_external(RestartWanted(self._work(request), _timeout(request)))
        return {}

    def _stack(self, request: dict[str, Any]) -> dict[str, Any]:
        if request.get("work") is not None:
            self._runner().write_stacks(self._work(request))
            return {}
        frame = sys._current_frames().get(self._app.thread)
        return {"stack": "".join(traceback.format_stack(frame)) if frame is not None else ""}

    def _runner(self) -> Steerable:
        runner = self._app.runner
        if not isinstance(runner, Steerable):
            raise CommandError(f"works of {type(runner).__name__} can't be steered from outside")
        return runner

    def _work(self, request: dict[str, Any]) -> str:
        name = request.get("work")
        if not isinstance(name, str) or all(row.name != name for row in self._app.snapshot_works()):
            raise CommandError(f"there is no work {name!r}")
        return name


def _timeout(request: dict[str, Any]) -> float:
    timeout = request.get("timeout", settings.STOP_TIMEOUT)
    if type(timeout) not in (int, float) or not 0 <= timeout < float("inf"):
        raise CommandError(f"timeout is a number of seconds, 0 or more; found {timeout!r}")
    return float(timeout)
