"""The calls of one work, as its flow sees them: asked, under way, ended."""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING, Protocol
from lightning_lite.messages import Failure
from lightning_lite.status import StatusFields, WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.values.pickling import unpack

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_UNREAD = object()
_NOT_STARTED: StatusFields = WorkStatus(WorkStageStatus.NOT_STARTED)
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
        self._statuses: list[StatusFields] = []
        self._packed: bytes | Stored | None = None
        self._value: Any = _UNREAD

    def __repr__(self) -> str:
        stage = self._statuses[-1][0] if self._statuses else "asked"
        return f"<call {self.number}, key {self.key}: {stage}>"

    @property
    def statuses(self) -> list[WorkStatus]:
        """What happened to it, in order."""
        return [WorkStatus(*fields) for fields in self._statuses]

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

    def succeed(self, packed: bytes | Stored) -> None:
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
        self._status: StatusFields = _NOT_STARTED
        self._process_statuses: list[StatusFields] = []
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
        return WorkStatus(*self._status)

    @property
    def process_statuses(self) -> list[WorkStatus]:
        """What happened to the work outside its calls; the latest thousand."""
        return [WorkStatus(*fields) for fields in self._process_statuses]

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

    def note(self, call: Call | None, fields: StatusFields) -> None:
        """Enter what happened to a call, or to the work's process if `call` is `None`."""
        stage = fields[0]
        if call is None:
            self._process_statuses.append(fields)
            del self._process_statuses[:-_MAX_PROCESS_STATUSES]
        else:
            call._statuses.append(fields)
        if stage in _UP:
            self.has_started = True
        elif stage == WorkStageStatus.SUCCEEDED:
            self.num_successes += 1
        elif stage == WorkStageStatus.FAILED:
            self.num_failures += 1
            self.num_timeouts += fields[2] == WorkFailureReasons.TIMEOUT
        if self._describes(stage) if call is None else call is self.newest:
            self._status = fields

    def keep(self, keep: Callable[[Call], bool]) -> None:
        """Forget all calls but some; the newest of these describes the work then."""
        self.current = {key: call for key, call in self.current.items() if keep(call)}
        if self.newest is not None and keep(self.newest):
            return
        self.newest = max(self.current.values(), key=lambda call: call.number, default=None)
        self._status = self.newest.statuses[-1] if self.newest else _NOT_STARTED
        for fields in self._process_statuses[-1:]:
            stage, timestamp = fields[:2]
            if timestamp >= self._status[1] and self._describes(stage):
                self._status = fields

    def _describes(self, stage: str) -> bool:
        """Return whether what happened to the process says more than how the newest call has ended."""
        if self.newest is None:
            return True
        if stage == WorkStageStatus.STARTED:
            return self._status[0] == WorkStageStatus.STOPPED
        return self.newest.ended

    def to_dict(self) -> dict[str, Any]:
        """Return the calls as plain data, as Lightning App shows them in `state["calls"]`."""
        found: dict[str, Any] = {"latest_call_hash": self.newest.key if self.newest else None}
        for key, call in self.current.items():
            found[key] = {"call_hash": key, "statuses": [status._asdict() for status in call.statuses]}
        return found
