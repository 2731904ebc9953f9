"""The calls of one work, as its flow sees them: asked, under way, ended."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, assert_never

from lightning_lite.events import (
    AnswerUsed,
    CallAsked,
    CallFailed,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    StoredValue,
    WorkEvent,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.values.pickling import unpack

_UNREAD = object()
_NOT_STARTED = WorkStatus(WorkStageStatus.NOT_STARTED)
_UP = frozenset({WorkStageStatus.STARTED, WorkStageStatus.RUNNING})
_MAX_PROCESS_STATUSES = 1000  # a work may be stopped and started for months


class Call:
    """The record of one call.

    Attributes:
        key: What its arguments say; equal arguments, equal key.
        number: 1 for the first call that the work was asked for.
        attempt: 0 before it was sent for the first time.
        arguments: Pickled `(args, kwargs)`; empty when the call has ended, and if they are not known.
        failure: Why its last attempt failed, or `None`.
        ended: Whether it will not run any more: succeeded, failed after the last attempt, or stopped.
    """

    __slots__ = (
        "_packed",
        "_statuses",
        "_value",
        "answered",
        "arguments",
        "attempt",
        "ended",
        "failure",
        "key",
        "number",
    )

    def __init__(self, key: str, number: int, arguments: bytes) -> None:
        self.key = key
        self.number = number
        self.attempt = 0
        self.arguments = arguments
        self.failure: Failure | None = None
        self.ended = False
        self.answered = False
        self._statuses: list[WorkStatus] = []
        self._packed: bytes | StoredValue | None = None
        self._value: Any = _UNREAD

    def __repr__(self) -> str:
        stage = self._statuses[-1].stage if self._statuses else "asked"
        return f"<call {self.number}, key {self.key}: {stage}>"

    @property
    def statuses(self) -> list[WorkStatus]:
        """What happened to it, in order."""
        return list(self._statuses)

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
        if self._value is _UNREAD:
            packed = self._packed
            if packed is None:
                return None
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

    def succeed(self, packed: bytes | StoredValue) -> None:
        """Take the packed answer, or where it is."""
        self._packed = packed
        self.failure = None
        self.ended = True
        self.arguments = b""

    def fail(self, failure: Failure) -> None:
        """Take the failure that no further attempt follows; or the stop that cut the call."""
        self.failure = failure
        self.ended = True
        self.arguments = b""


class CallBook:
    """All calls of one work, and what its status is.

    Attributes:
        current: The calls that answer for their arguments, by key.
        newest: The call that the flow asked for last.
        num_failures: Attempts that failed, over all calls.
        num_successes: Calls that succeeded.
        num_timeouts: Attempts that ran into the time limit.
        was_read: Whether somebody has asked for the status: only then do its changes matter to a flow.
    """

    def __init__(self) -> None:
        self.current: dict[str, Call] = {}
        self.newest: Call | None = None
        self._status = _NOT_STARTED
        self._process_statuses: list[WorkStatus] = []
        self.num_calls = 0
        self.num_failures = 0
        self.num_successes = 0
        self.num_timeouts = 0
        self.has_started = False
        self.was_read = False

    def __reduce__(self) -> tuple[Any, ...]:
        # The record stays with the flow; the work's process starts with an empty one.
        return CallBook, ()

    @property
    def status(self) -> WorkStatus:
        """What happened last to the newest call, or to the process once that call has ended."""
        return self._status

    @property
    def process_statuses(self) -> list[WorkStatus]:
        """What happened to the work outside its calls; the latest thousand."""
        return list(self._process_statuses)

    def read_status(self) -> WorkStatus:
        """Return the status, and remember that it was asked for."""
        self.was_read = True
        return self.status

    def find(self, key: str) -> Call | None:
        """Return the record of a call, and remember that its status may be read."""
        self.was_read = True
        return self.current.get(key)

    def apply(self, event: WorkEvent) -> None:
        """Take what happened to the work or to one of its calls: while the app runs, and from the journal."""
        match event:
            case CallStatusChanged():
                known = self.current.get(event.key)
                if known is not None and known.number > event.number:
                    return  # about a call that a newer one with the same arguments has replaced
                if known is None or known.number < event.number:
                    # The flow asked for it while the work had another name, under which its record is.
                    known = self._enter(event.key, event.number, b"")
                known.attempt = max(known.attempt, event.status.count)
                self._note(known, event.status)
            case CallAsked():
                call = self._enter(event.key, event.number, event.arguments or b"")
                self._note(call, WorkStatus(WorkStageStatus.PENDING, event.time))
            case CallSucceeded():
                call = self._find_or_enter(event.key)
                call.succeed(event.value)
                self._note(call, WorkStatus(WorkStageStatus.SUCCEEDED, event.time, count=call.attempt))
            case WorkStatusChanged():
                self._process_statuses.append(event.status)
                del self._process_statuses[:-_MAX_PROCESS_STATUSES]
                self._count(event.status)
                if self._describes(event.status.stage):
                    self._status = event.status
            case CallFailed():
                self._find_or_enter(event.key).fail(event.failure)
            case AnswerUsed():
                if (used := self.current.get(event.key)) is not None:
                    used.answered = True
            case CallSurvived():
                pass  # it says something about the flow, not about the call
            case _:
                assert_never(event)

    def _find_or_enter(self, key: str) -> Call:
        # The journal has the record of a call under the name that the work had when it was asked for.
        return self.current.get(key) or self._enter(key, self.num_calls + 1, b"")

    def _enter(self, key: str, number: int, arguments: bytes) -> Call:
        call = self.current[key] = Call(key, number, arguments)
        if number > self.num_calls:
            self.num_calls = number
            self.newest = call
        return call

    def _note(self, call: Call, status: WorkStatus) -> None:
        call._statuses.append(status)
        self._count(status)
        if call is self.newest:
            self._status = status

    def _count(self, status: WorkStatus) -> None:
        if status.stage in _UP:
            self.has_started = True
        elif status.stage == WorkStageStatus.SUCCEEDED:
            self.num_successes += 1
        elif status.stage == WorkStageStatus.FAILED:
            self.num_failures += 1
            self.num_timeouts += status.reason == WorkFailureReasons.TIMEOUT

    def keep(self, keep: Callable[[Call], bool]) -> None:
        """Forget all calls but some; the newest of these describes the work then."""
        self.current = {key: call for key, call in self.current.items() if keep(call)}
        if self.newest is not None and keep(self.newest):
            return
        self.newest = max(self.current.values(), key=lambda call: call.number, default=None)
        self._status = self.newest.statuses[-1] if self.newest else _NOT_STARTED
        for status in self._process_statuses[-1:]:
            if status.timestamp >= self._status.timestamp and self._describes(status.stage):
                self._status = status

    def _describes(self, stage: str) -> bool:
        """Return whether what happened to the process says more than how the newest call has ended."""
        if self.newest is None:
            return True
        if stage == WorkStageStatus.STARTED:
            return self._status.stage == WorkStageStatus.STOPPED
        return self.newest.ended

    def to_dict(self) -> dict[str, Any]:
        """Return the calls as plain data, as Lightning App shows them in `state["calls"]`."""
        found: dict[str, Any] = {"latest_call_hash": self.newest.key if self.newest else None}
        for key, call in self.current.items():
            found[key] = {"call_hash": key, "statuses": [status._asdict() for status in call.statuses]}
        return found
