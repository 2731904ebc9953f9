"""Histories of runs as their journals would give them, for tests of their views."""

from __future__ import annotations

import pickle
from typing import Any

from lightning_lite.engine.history import RunHistory
from lightning_lite.events import (
    CallAsked,
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    ComponentAttached,
    RunBegun,
    StateReported,
    StateWritten,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.status import WorkStatus
from lightning_lite.values.codec import encode


class Story:
    """A history that grows by the events of a run, given in few words.

    Args:
        *works: Names of the works below the root.
    """

    def __init__(self, *works: str) -> None:
        self.history = RunHistory()
        self.history.apply(RunBegun(0.0))
        self.history.apply(ComponentAttached("root", 0.0, False, ("app", "Root"), {}))
        self._numbers: dict[str, int] = {}
        self._keys: dict[tuple[str, int], str] = {}
        for work in works:
            self.history.apply(ComponentAttached(f"root.{work}", 0.0, True, ("app", work.title()), {}))

    def ask(self, work: str, moment: float, *args: Any, packed: bytes | None = None, **kwargs: Any) -> int:
        """Request a call, and return its number."""
        number = self._numbers[work] = self._numbers.get(work, 0) + 1
        key = self._keys[work, number] = f"{work}-{number}"
        arguments = pickle.dumps((args, kwargs), 5) if packed is None else packed
        self.history.apply(CallAsked(f"root.{work}", key, moment, number, arguments))
        return number

    def change(
        self, work: str, number: int, moment: float, stage: str, attempt: int = 1, **rest: Any
    ) -> None:
        """Change the status of a call."""
        reason, message = rest.get("reason"), rest.get("message", "")
        status = WorkStatus(stage, moment, reason, message, attempt, rest.get("traceback", ""))
        key = self._keys[work, number]
        self.history.apply(CallStatusChanged(f"root.{work}", key, moment, number, status))

    def succeed(
        self, work: str, number: int, moment: float, value: Any = None, *, packed: Any = None
    ) -> None:
        """End a call with a value."""
        data = pickle.dumps(value, 5) if packed is None else packed
        self.history.apply(CallSucceeded(f"root.{work}", self._keys[work, number], moment, data))

    def fail(self, work: str, number: int, moment: float, attempt: int = 1, **failure: Any) -> None:
        """End a call with a failure."""
        found = Failure(
            failure.get("reason", "user_exception"),
            failure.get("message", "boom"),
            failure.get("traceback", ""),
        )
        self.change(
            work,
            number,
            moment,
            "failed",
            attempt,
            reason=found.reason,
            message=found.message,
            traceback=found.traceback,
        )
        self.history.apply(CallFailed(f"root.{work}", self._keys[work, number], moment, found))

    def call(self, work: str, asked: float, began: float, ended: float, *args: Any, value: Any = None) -> int:
        """Let a call succeed at its first attempt, and return its number."""
        number = self.ask(work, asked, *args)
        self.change(work, number, began, "running")
        self.succeed(work, number, ended, value)
        return number

    def process(self, work: str, moment: float, stage: str) -> None:
        """Change the status of the process of a work."""
        self.history.apply(WorkStatusChanged(f"root.{work}", moment, WorkStatus(stage, moment)))

    def attach(self, component: str, moment: float = 0.0, *, is_work: bool = False, **state: Any) -> None:
        """Attach a component with its state."""
        encoded = {name: encode(value, name) for name, value in state.items()}
        self.history.apply(ComponentAttached(component, moment, is_work, ("app", "Part"), encoded))

    def write(self, component: str, moment: float, **values: Any) -> None:
        """Write attributes in the flow."""
        encoded = {name: encode(value, name) for name, value in values.items()}
        self.history.apply(StateWritten(component, moment, encoded))

    def report(self, component: str, moment: float, **values: Any) -> None:
        """Report new attributes of a work."""
        encoded = {name: encode(value, name) for name, value in values.items()}
        self.history.apply(StateReported(component, moment, encoded))

    def resume(self, moment: float) -> None:
        """Resume the run after its process has died."""
        self.history.apply(RunBegun(moment))
