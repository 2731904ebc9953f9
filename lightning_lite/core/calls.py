"""The calls of one work, as its flow sees them: asked, under way, ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from lightning_lite.core.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.messages import Failure
from lightning_lite.packing import unpack

_UNREAD = object()
_UP = frozenset({WorkStageStatus.STARTED, WorkStageStatus.RUNNING})
_MAX_PROCESS_STATUSES = 1000  # a work may be stopped and started for months


class Stored(Protocol):
    """A packed value that stays on disk until somebody asks for it."""

    def load(self) -> bytes:
        """Return the bytes."""


class Call:
    """The record of one call.

    Attributes:
        key: What its arguments say; equal arguments, equal key.
        number: 1 for the first call that the work was asked for.
        attempt: 0 before it was sent for the first time.
        arguments: Packed `(args, kwargs)`; dropped when the call has ended.
        statuses: What happened to it, in order.
        failure: Why its last attempt failed, or `None`.
        ended: Whether it will not run any more: succeeded, failed after the last attempt, or stopped.
    """

    __slots__ = (
        "_packed",
        "_value",
        "answered",
        "arguments",
        "attempt",
        "ended",
        "failure",
        "key",
        "number",
        "statuses",
    )

    def __init__(self, key: str, number: int, arguments: bytes) -> None:
        self.key = key
        self.number = number
        self.attempt = 0
        self.arguments = arguments
        self.statuses: list[WorkStatus] = []
        self.failure: Failure | None = None
        self.ended = False
        self.answered = False
        self._packed: bytes | Stored | None = None
        self._value: Any = _UNREAD

    def __repr__(self) -> str:
        stage = self.statuses[-1].stage if self.statuses else "asked"
        return f"<call {self.number}, key {self.key}: {stage}>"

    @property
    def succeeded(self) -> bool:
        """Whether its `run` has returned."""
        return self._packed is not None

    @property
    def value(self) -> Any:
        """What its `run` returned, the same object at each reading; `None` before and without success.

        Raises:
            Exception: What the value's own way back raises.
        """
        if self._packed is None:
            return None
        if self._value is _UNREAD:
            packed = self._packed
            self._value = unpack(packed if isinstance(packed, bytes) else packed.load())
            self._packed = b""  # once is enough for what may be big
        return self._value

    @property
    def error(self) -> BaseException | None:
        """The exception that its last attempt ended with, if there was one and it could travel."""
        if self.failure is None or self.failure.error is None:
            return None
        try:
            error = unpack(self.failure.error)
        except Exception:  # noqa: BLE001 - the user's class decides what its way back raises; the text remains
            return None
        return error if isinstance(error, BaseException) else None

    def succeed(self, packed: bytes | Stored) -> None:
        """Take the packed answer, or where it is."""
        self._packed = packed
        self.failure = None
        self._end()

    def fail(self, failure: Failure) -> None:
        """Take the failure that no further attempt follows; or the stop that cut the call."""
        self.failure = failure
        self._end()

    def _end(self) -> None:
        self.ended = True
        self.arguments = b""


class CallBook:
    """All calls of one work, and what its status is.

    Attributes:
        current: The calls that answer for their arguments, by key.
        newest: The call that the flow asked for last.
        status: What happened last to the newest call, or to the process once that call has ended.
        process_statuses: What happened to the work outside its calls; the latest thousand.
        num_failures: Attempts that failed, over all calls.
        num_successes: Calls that succeeded.
        num_timeouts: Attempts that ran into the time limit.
        was_read: Whether somebody has asked for the status: only then do its changes matter to a flow.
    """

    def __init__(self) -> None:
        self.current: dict[str, Call] = {}
        self.newest: Call | None = None
        self.status = WorkStatus(WorkStageStatus.NOT_STARTED)
        self.process_statuses: list[WorkStatus] = []
        self.num_calls = 0
        self.num_failures = 0
        self.num_successes = 0
        self.num_timeouts = 0
        self.has_started = False
        self.was_read = False

    def __reduce__(self) -> tuple[Any, ...]:
        # The record stays with the flow; the work's process starts with an empty one.
        return CallBook, ()

    def read_status(self) -> WorkStatus:
        """Return the status, and remember that it was asked for."""
        self.was_read = True
        return self.status

    def find(self, key: str) -> Call | None:
        """Return the record of a call, and remember that its status may be read."""
        self.was_read = True
        return self.current.get(key)

    def open(self, key: str, arguments: bytes) -> Call:
        """Enter a call that the flow asks for."""
        return self.enter(Call(key, self.num_calls + 1, arguments))

    def enter(self, call: Call) -> Call:
        """Enter a call, newer than all others."""
        self.num_calls = call.number
        self.current[call.key] = self.newest = call
        return call

    def note(self, call: Call | None, status: WorkStatus) -> None:
        """Enter what happened to a call, or to the work's process if `call` is `None`."""
        if call is None:
            self.process_statuses.append(status)
            del self.process_statuses[:-_MAX_PROCESS_STATUSES]
        else:
            call.statuses.append(status)
        stage = status.stage
        if stage in _UP:
            self.has_started = True
        elif stage == WorkStageStatus.SUCCEEDED:
            self.num_successes += 1
        elif stage == WorkStageStatus.FAILED:
            self.num_failures += 1
            self.num_timeouts += status.reason == WorkFailureReasons.TIMEOUT
        if call is self.newest or (call is None and self._describes(status)):
            self.status = status

    def keep(self, keep: Callable[[Call], bool]) -> None:
        """Forget all calls but some; the newest of these describes the work then."""
        self.current = {key: call for key, call in self.current.items() if keep(call)}
        if self.newest is not None and keep(self.newest):
            return
        self.newest = max(self.current.values(), key=lambda call: call.number, default=None)
        self.status = self.newest.statuses[-1] if self.newest else WorkStatus(WorkStageStatus.NOT_STARTED)
        for status in self.process_statuses[-1:]:
            if status.timestamp >= self.status.timestamp and self._describes(status):
                self.status = status

    def _describes(self, status: WorkStatus) -> bool:
        """Return whether what happened to the process says more than how the newest call has ended."""
        if self.newest is None:
            return True
        if status.stage == WorkStageStatus.STARTED:
            return self.status.stage == WorkStageStatus.STOPPED
        return self.newest.ended

    def to_dict(self) -> dict[str, Any]:
        """Return the calls as plain data, as Lightning App shows them in `state["calls"]`."""
        found: dict[str, Any] = {"latest_call_hash": self.newest.key if self.newest else None}
        for key, call in self.current.items():
            found[key] = {"call_hash": key, "statuses": [status._asdict() for status in call.statuses]}
        return found
