"""Records of the calls of one work, in the flow: requested, running, ended."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NamedTuple, Self, assert_never
from weakref import ref

from lightning_lite.errors import (
    InvalidValue,
    WorkCrashed,
    WorkFailed,
    WorkLost,
    WorkStartFailed,
    WorkTimeout,
)
from lightning_lite.events import (
    AnswersKept,
    AnswerUsed,
    CallAsked,
    CallFailed,
    CallsKept,
    CallStatusChanged,
    CallSucceeded,
    CallSurvived,
    KeptCall,
    ProcessStarted,
    StoredValue,
    WorkEvent,
    WorkKept,
    WorkStatusChanged,
)
from lightning_lite.messages import Failure
from lightning_lite.status import WorkFailureReasons, WorkStageStatus, WorkStatus
from lightning_lite.tracebacks import RemoteTraceback, add_note, fill_in_source
from lightning_lite.values.pickling import (
    REFERENCE,
    UNCHANGEABLE,
    in_place_of,
    is_reference,
    unmapped_size,
    unpack,
)

_ERRORS: dict[str, type[WorkFailed]] = {
    WorkFailureReasons.CRASHED: WorkCrashed,
    WorkFailureReasons.LOST: WorkLost,
    WorkFailureReasons.TIMEOUT: WorkTimeout,
    WorkFailureReasons.START_FAILED: WorkStartFailed,
    WorkFailureReasons.INVALID_VALUE: InvalidValue,
}
_UNREAD = object()
_NOT_STARTED = WorkStatus(WorkStageStatus.NOT_STARTED)

#: The stages of a call that succeeds in its first attempt.
_STAGES = WorkStageStatus.PENDING, WorkStageStatus.RUNNING, WorkStageStatus.SUCCEEDED

_UP = frozenset({WorkStageStatus.STARTED, WorkStageStatus.RUNNING})
_MAX_PROCESS_STATUSES = 1000  # a limit, because a work may be stopped and started for months

#: Number of calls with a used answer whose records stay: as many as the history of a run lists by default.
_MAX_USED = 10_000

#: Size in bytes up to which a used answer stays with its record, for the history.
_MAX_USED_ANSWER = 1024

#: Number of big answers that stay loaded after the flow has dropped them. Before Python 3.13, each of them
#: holds an open file, and many systems allow a process 256 or 1024.
_MAX_DROPPED = 64

#: Memory in bytes of the big answers that stay loaded after the flow has dropped them. The parts that are
#: mapped from a file do not count.
_MAX_DROPPED_SIZE = 16 * 1024 * 1024

#: Number of references to an answer that only its record holds: that, and the argument of `getrefcount`.
_OWN_REFERENCES = 2

#: The big answers that are loaded, the oldest first, by their identity.
loaded: dict[int, Loaded] = {}

#: Whether they may exceed the limits, and how many times `unload_dropped` was called since it last looked.
_may_exceed = False
_num_looks = 0


class Loaded(NamedTuple):
    """A big answer that is loaded: its call, and its memory in bytes without the mapped parts."""

    call: ref[Call]
    size: int


class Answer(NamedTuple):
    """The record of a call that succeeded in a snapshot; see `AnswersKept` for the fields."""

    key: str
    number: int
    attempt: int
    time: float
    value: bytes | StoredValue


class Call:
    """The record of one call."""

    # Each attribute has its own text, because an editor shows that where the attribute is used.
    key: str
    """Key of its arguments; equal arguments have equal keys."""
    number: int
    """1 for the first call of the work."""
    attempt: int
    """Number of the newest attempt; 0 before the first one is sent."""
    arguments: bytes
    """Pickled `(args, kwargs)`; empty if the call has ended, or if they are unknown."""
    failure: Failure | None
    """Why its last attempt failed, or `None`."""
    ended: bool
    """Whether it will not run again: it succeeded, failed after the last attempt, or was stopped."""
    answered: bool
    """Whether the flow has used its answer, if the work has `cache_calls=False`."""
    is_big: bool
    """Whether its arguments or its answer are a reference to files of big values."""
    work: str
    """Name of its work, for `error`; "" until the flow asks for the record."""
    is_small: bool
    """Whether it has no answer, or one of at most 1 KiB, which stays after the flow has used it."""

    __slots__ = (
        "__weakref__",
        "_packed",
        "_statuses",
        "_times",
        "_value",
        "answered",
        "arguments",
        "attempt",
        "ended",
        "failure",
        "is_big",
        "is_small",
        "key",
        "number",
        "work",
    )

    def __init__(self, key: str, number: int, arguments: bytes) -> None:
        self.key = key
        self.number = number
        self.attempt = 0
        self.arguments = arguments
        self.failure = None
        self.ended = False
        self.answered = False
        self.is_big = False
        self.work = ""
        self.is_small = True
        # The statuses of most calls that have ended are made when they are asked for, because three of them
        # need as much memory as the rest of the call. Then `_times` has the time of the end, or the times of
        # request, start and end.
        self._statuses: list[WorkStatus] | None = []
        self._times: float | tuple[float, float, float] | None = None
        self._packed: bytes | StoredValue | None = None
        self._value: Any = _UNREAD

    def __repr__(self) -> str:
        stage = self.stage if self._known_statuses() else "asked"
        return f"<call {self.number}, key {self.key}: {stage}>"

    @property
    def statuses(self) -> list[WorkStatus]:
        """Its statuses, oldest first."""
        return list(self._known_statuses())

    @property
    def stage(self) -> str:
        """The stage of its last status."""
        statuses = self._statuses
        return WorkStageStatus.SUCCEEDED if statuses is None else statuses[-1].stage

    @property
    def succeeded(self) -> bool:
        """Whether its `run` has returned."""
        return self._packed is not None

    @property
    def stored_value(self) -> bytes | StoredValue | None:
        """Its pickled answer, or its place on disk. Empty after `value` was read, `None` if released."""
        return None if self._value is None else self._packed

    @property
    def value(self) -> Any:
        """The return value of its `run`; `None` if it has not succeeded.

        It is the same object at each access. Only a big value that the flow has dropped may be loaded again,
        see `unload_dropped`. With `cache_calls=False`, a used answer of more than 1 KiB is released when the
        flow uses the answer of a later call of the work, or requests the same call again; it is `None` then.

        Raises:
            Exception: Any exception that unpickling the value raises.
        """
        value = self._value
        if value is not _UNREAD:
            return value
        packed = self._packed
        if packed is None:
            return None
        if not isinstance(packed, bytes) or not is_reference(packed):
            value = self._value = unpack(packed if isinstance(packed, bytes) else packed.load())
            self._packed = b""  # free the pickled copy, which may be large
            return value
        unload_dropped()  # first, so that a loop that reads big values needs the memory of one of them
        value = self._value = unpack(packed)
        _keep_loaded(self, value, unmapped_size(value, packed))
        return value

    def release_used(self) -> None:
        """Release the answer, unless it is small: the flow has used it, and needs it no more."""
        if not self.is_small:
            self._packed, self._value = b"", None
            self.is_big, self.is_small = False, True

    @property
    def error(self) -> BaseException | None:
        """The reason of its failure, as an exception; `None` if it has not failed, or if a stop ended it.

        It is the exception that would end the app: the exception of `run`, or a `WorkFailed` such as
        `WorkCrashed`.
        """
        failure = self.failure
        if failure is None or failure.reason == "stopped":
            return None
        return error_of(failure, self.work)

    @classmethod
    def from_kept(cls, kept: KeptCall) -> Self:
        """Return the record of a call in a snapshot."""
        call = cls(kept.key, kept.number, b"" if kept.ended else kept.arguments or b"")
        call.attempt = kept.attempt
        call.failure = kept.failure
        call.ended = kept.ended
        call.answered = kept.answered
        call._set_answer(kept.value)
        if kept.value == b"":
            call._value = None  # it was released before the snapshot
        call.is_big = bool(call.big_values)
        call._statuses = list(kept.statuses)
        call._drop_statuses(call._statuses)
        return call

    def to_kept(
        self, arguments: bytes | None, lost_at: float | None, *, is_current: bool, is_listed: bool
    ) -> KeptCall:
        """Return the record of the call for a snapshot; its value must not have been unpickled.

        Args:
            arguments: Its arguments for the history.
            lost_at: As in `KeptCall`.
            is_current: As in `KeptCall`.
            is_listed: As in `KeptCall`.
        """
        return KeptCall(
            self.key,
            self.number,
            self.attempt,
            self.ended,
            self.answered,
            is_current,
            is_listed,
            self._packed if is_current else None,
            self.failure,
            arguments if is_listed or not self.ended else None,
            tuple(self._known_statuses()),
            lost_at,
        )

    def to_answer(self) -> Answer | None:
        """Return the columns of `AnswersKept`, or `None` if the call is more than one answer to remember."""
        if self._packed is None or self.answered or self.failure is not None:
            return None
        ended = self._known_statuses()[-1].timestamp
        return Answer(self.key, self.number, self.attempt, ended, self._packed)

    @classmethod
    def from_answer(
        cls, key: str, number: int, attempt: int, time: float, value: bytes | StoredValue
    ) -> Self:
        """Return the record of a call of which a snapshot keeps only the answer; see `AnswersKept`.

        Most calls of a resumed run are such ones, so their statuses are made when they are asked for.
        """
        call = cls(key, number, b"")
        call.attempt = attempt
        call.ended = True
        call._set_answer(value)
        call._statuses, call._times = None, time
        return call

    def add_status(self, status: WorkStatus) -> None:
        """Add its newest status."""
        if self._statuses is None:
            self._statuses = self._known_statuses()
        self._statuses.append(status)
        if status.stage == WorkStageStatus.SUCCEEDED:
            self._drop_statuses(self._statuses)

    def _drop_statuses(self, statuses: list[WorkStatus]) -> None:
        """Keep only the times of the statuses if the call has succeeded in its first attempt."""
        if len(statuses) == 3 and self.attempt == 1:
            asked, began, ended = statuses
            if (asked.stage, began.stage, ended.stage) == _STAGES:
                # In this order, because other threads read them.
                self._times = asked.timestamp, began.timestamp, ended.timestamp
                self._statuses = None

    def _known_statuses(self) -> list[WorkStatus]:
        if (statuses := self._statuses) is not None:
            return statuses
        if not isinstance(self._times, tuple):
            return [WorkStatus(_STAGES[2], self._times or 0.0, None, "", self.attempt, "")]
        return [
            WorkStatus(stage, time, None, "", min(position, 1), "")
            for position, (stage, time) in enumerate(zip(_STAGES, self._times, strict=True))
        ]

    @property
    def big_values(self) -> list[bytes]:
        """Its arguments and its answer, packed, if they are references to files of big values."""
        packed = self.arguments, self._packed
        return [value for value in packed if isinstance(value, bytes) and is_reference(value)]

    def succeed(self, packed: bytes | StoredValue) -> None:
        """End the call with its pickled answer, or the place on disk where it is stored."""
        self._set_answer(packed)
        self.failure = None
        self.ended = True
        self.arguments = b""

    def _set_answer(self, packed: bytes | StoredValue | None) -> None:
        self._packed = packed
        if type(packed) is bytes:
            self.is_big = packed.startswith(REFERENCE)
            self.is_small = len(packed) <= _MAX_USED_ANSWER and not self.is_big
        else:
            self.is_big, self.is_small = False, packed is None

    def fail(self, failure: Failure) -> None:
        """End the call with the failure of its last attempt, or with the stop that interrupted it."""
        self.failure = failure
        self.ended = True
        self.arguments = b""


def _keep_loaded(call: Call, value: Any, size: int) -> None:
    """Register a big answer that was loaded."""
    global _may_exceed
    loaded[id(value)] = Loaded(ref(call), size)
    _may_exceed = True


def unload_dropped() -> None:
    """Unload the big answers that only their records hold; the newest one stays, and others up to a limit.

    Objects of most types that can't be mapped, such as `bytes` and lists, allow no weak references. So the
    number of references says whether the flow still holds one.
    """
    global _may_exceed, _num_looks
    if not _may_exceed:
        return
    _num_looks += 1
    if _num_looks * _MAX_DROPPED < len(loaded):
        return  # a flow may hold thousands, and a loop that reads n of them must not look n * n times
    _num_looks, _may_exceed = 0, False
    answers = list(loaded.items())  # a copy: another thread may read an answer
    if len(answers) <= _MAX_DROPPED and sum(answer.size for _, answer in answers) <= _MAX_DROPPED_SIZE:
        return
    _may_exceed = True
    num_kept = kept_size = 0
    for identity, answer in reversed(answers):
        call = answer.call()
        if call is None or id(call._value) != identity:
            loaded.pop(identity, None)  # its record was deleted, or it was released
        elif sys.getrefcount(call._value) > _OWN_REFERENCES:
            continue
        elif not num_kept or (num_kept < _MAX_DROPPED and kept_size + answer.size <= _MAX_DROPPED_SIZE):
            num_kept, kept_size = num_kept + 1, kept_size + answer.size
        else:
            loaded.pop(identity, None)
            call._value = _UNREAD


def handed_on(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return what to pickle for the arguments of a call: big answers of other calls are not written again."""
    values = [*args, *kwargs.values()]
    written = {id(value): _handed_on(value, is_alone=len(values) == 1) for value in values}
    return tuple(written[id(value)] for value in args), {
        name: written[id(value)] for name, value in kwargs.items()
    }


def _handed_on(argument: Any, *, is_alone: bool) -> Any:
    if not is_alone and type(argument) not in UNCHANGEABLE:
        return argument  # it may share objects with another argument, which only one pickle of both keeps
    answer = loaded.get(id(argument))
    call = answer.call() if answer is not None else None
    if call is None or call._value is not argument or not isinstance(call._packed, bytes):
        return argument
    return in_place_of(argument, call._packed)


def error_of(failure: Failure, work: str, where: str = "") -> BaseException:
    """Return the exception that `app.run()` raises for a failure: the work's, if it can be unpickled.

    Its cause is the text of the traceback in the other process, and a note names the call.

    Args:
        failure: The failure of a call, or of the start of a process.
        work: Name of the work.
        where: Description of the call and its attempt, or "".
    """
    found: Any = None
    if failure.reason == WorkFailureReasons.USER_EXCEPTION and failure.error is not None:
        try:
            found = unpack(failure.error)
        except Exception:  # noqa: BLE001 - unpickling runs code of the user's class; the message remains
            found = None
    kind = _ERRORS.get(failure.reason, WorkFailed)
    ours = kind(failure.message, work=work, reason=failure.reason)
    error = found if isinstance(found, BaseException) else ours
    if failure.traceback:
        cause = RemoteTraceback(f"in the process of {work}:\n\n{fill_in_source(failure.traceback)}")
        BaseException.__setattr__(error, "__cause__", cause)  # the method of a frozen dataclass would raise
    if error is not ours and where:  # the message of `ours` names the call already
        add_note(error, f"in {where}")
    return error


class CallRecords:
    """The records of all calls of one work, and its status.

    Attributes:
        current: The newest call for each key.
        newest: The call that the flow requested last.
        used: The calls whose answers the next used answer may release, if the work has `cache_calls=False`.
        num_calls: Number of the newest call.
        num_failures: Number of failed attempts of all calls.
        num_successes: Number of calls that succeeded.
        num_timeouts: Number of attempts that exceeded the time limit.
        has_started: Whether a process of the work has ever been up.
        was_read: Whether the flow has read the status; if not, a change of status requires no pass.
    """

    def __init__(self) -> None:
        self.current: dict[str, Call] = {}
        self.newest: Call | None = None
        self.used: list[Call] = []
        self._all_used: dict[str, Call] = {}  # the calls with used answers, in the order of the use
        self._status = _NOT_STARTED
        self._process_statuses: list[WorkStatus] = []
        self.num_calls = 0
        self.num_failures = 0
        self.num_successes = 0
        self.num_timeouts = 0
        self.has_started = False
        self.was_read = False

    def __reduce__(self) -> tuple[Any, ...]:
        # The records stay in the flow's process; the process of the work starts with empty ones.
        return CallRecords, ()

    @property
    def status(self) -> WorkStatus:
        """The last status of the newest call, or of the process after that call has ended."""
        return self._status

    @property
    def process_statuses(self) -> list[WorkStatus]:
        """The statuses of the process of the work, oldest first; at most the latest thousand."""
        return list(self._process_statuses)

    def read_status(self, reached: Call | None) -> WorkStatus:
        """Return the status for the flow, and register that it depends on it.

        Args:
            reached: The call that the pass has requested last. If it is an earlier one than the newest, its
                status is returned: a pass that runs again gets what the pass before it got.
        """
        self.was_read = True
        if reached is None or reached is self.newest or self._process_statuses[-1:] == [self._status]:
            return self._status
        return reached.statuses[-1]

    def find(self, key: str) -> Call | None:
        """Return the record of a call, and register that the flow may depend on its status."""
        self.was_read = True
        return self.current.get(key)

    def apply(self, event: WorkEvent) -> None:
        """Apply an event of the work or of one of its calls; used both live and when a journal is read."""
        match event:
            case CallStatusChanged():
                known, status = self.current.get(event.key), event.status
                if known is None or known.number != event.number:
                    if known is not None and known.number > event.number:
                        return  # a newer call with the same arguments has replaced this one
                    # It was requested while the work had another name, so its `CallAsked` is not among these.
                    known = self._enter(event.key, event.number, b"")
                if status.count > known.attempt:
                    known.attempt = status.count
                self._count(status)
                self._add_status(known, status)
            case CallAsked():
                call = self._enter(event.key, event.number, event.arguments or b"")
                self._add_status(call, WorkStatus(WorkStageStatus.PENDING, event.time, None, "", 0, ""))
            case CallSucceeded():
                call = self._find_or_enter(event.key)
                call.succeed(event.value)
                self.num_successes += 1
                status = WorkStatus(WorkStageStatus.SUCCEEDED, event.time, None, "", call.attempt, "")
                self._add_status(call, status)
            case WorkStatusChanged():
                self._add_process_status(event.status)
            case CallFailed():
                self._find_or_enter(event.key).fail(event.failure)
            case AnswerUsed():
                if (used := self.current.get(event.key)) is not None:
                    for unneeded in self.unneeded_after(used):
                        unneeded.release_used()
                        self.used.remove(unneeded)
                    used.answered = True
                    self._add_used(used)
                    if len(self._all_used) > _MAX_USED:
                        self._delete_oldest_used()
            case CallSurvived() | ProcessStarted():
                pass  # concerns the flow or the process, not a call
            case AnswersKept():
                self._restore_answers(event)
            case CallsKept():
                for kept in event.calls:
                    if kept.is_current:
                        call = self.current[kept.key] = Call.from_kept(kept)
                        if call.answered:
                            self._add_used(call)
            case WorkKept():
                self.num_calls, self.num_failures, self.num_successes, self.num_timeouts, own = event.counts
                self.has_started = event.has_started
                self.newest = self.current.get(event.newest)
                self._status = event.status
                self._process_statuses = list(event.statuses[len(event.statuses) - own :])
            case _:
                assert_never(event)

    def mark_stopped(self, moment: float) -> None:
        """Let the work count as stopped after its app has ended. The run does not record that.

        Args:
            moment: The time of the status, in seconds since 1970.
        """
        self._add_process_status(WorkStatus(WorkStageStatus.STOPPED, moment))

    def to_kept(self) -> tuple[tuple[int, ...], bool, str, WorkStatus]:
        """Return the fields of `WorkKept` from `counts` to `status`."""
        newest = self.newest.key if self.newest is not None else ""
        counts = (
            self.num_calls,
            self.num_failures,
            self.num_successes,
            self.num_timeouts,
            len(self._process_statuses),
        )
        return counts, self.has_started, newest, self._status

    def _restore_answers(self, event: AnswersKept) -> None:
        rows = zip(event.keys, event.numbers, event.attempts, event.times, event.values, strict=True)
        for row in rows:
            self.current[row[0]] = Call.from_answer(*row)

    def unneeded_after(self, call: Call) -> list[Call]:
        """Return the calls of which the answers are not needed when the flow uses the answer of `call`.

        The answer with the highest number stays: if the app dies before the next call has ended, `wait_for`
        returns that one in the resumed run.
        """
        newest = max((call, *self.used), key=lambda used: used.number)
        return [used for used in self.used if used is not newest]

    def _add_used(self, call: Call) -> None:
        self.used.append(call)
        self._all_used[call.key] = call

    def _delete_oldest_used(self) -> None:
        """Delete the oldest records of calls with used answers."""
        needed = self.needed
        for key in list(self._all_used)[: _MAX_USED // 10]:  # some at once: the first of a dict is slow
            call = self._all_used.pop(key)
            if self.current.get(key) is call and call not in needed:
                del self.current[key]

    @property
    def needed(self) -> tuple[Call | None, Call | None]:
        """The newest call, and the newest one with a used answer: `wait_for` may return their answers."""
        return self.newest, max(self.used, key=lambda used: used.number, default=None)

    def _find_or_enter(self, key: str) -> Call:
        # The journal has the record of a call under the name that the work had when it was asked for.
        return self.current.get(key) or self._enter(key, self.num_calls + 1, b"")

    def _enter(self, key: str, number: int, arguments: bytes) -> Call:
        call = self.current[key] = Call(key, number, arguments)
        if (used := self._all_used.pop(key, None)) in self.used:
            self.used.remove(used)
        if number > self.num_calls:
            self.num_calls = number
            self.newest = call
        return call

    def _add_status(self, call: Call, status: WorkStatus) -> None:
        call.add_status(status)
        if call is self.newest:
            self._status = status

    def _add_process_status(self, status: WorkStatus) -> None:
        self._process_statuses.append(status)
        del self._process_statuses[:-_MAX_PROCESS_STATUSES]
        self._count(status)
        if self._describes(status.stage):
            self._status = status

    def _count(self, status: WorkStatus) -> None:
        if status.stage in _UP:
            self.has_started = True
        elif status.stage == WorkStageStatus.FAILED:
            self.num_failures += 1
            self.num_timeouts += status.reason == WorkFailureReasons.TIMEOUT

    def keep(self, keep: Callable[[Call], bool]) -> None:
        """Delete the calls for which `keep` returns false, and recompute the status from the others."""
        self.current = {key: call for key, call in self.current.items() if keep(call)}
        if self.newest is not None and keep(self.newest):
            return
        self.newest = max(self.current.values(), key=lambda call: call.number, default=None)
        self._status = self.newest.statuses[-1] if self.newest else _NOT_STARTED
        for status in self._process_statuses[-1:]:
            if status.timestamp >= self._status.timestamp and self._describes(status.stage):
                self._status = status

    def _describes(self, stage: str) -> bool:
        """Return whether a status of the process replaces the status of the newest call."""
        if self.newest is None:
            return True
        if stage == WorkStageStatus.STARTED:
            return self._status.stage == WorkStageStatus.STOPPED
        return self.newest.ended

    def to_dict(self) -> dict[str, Any]:
        """Return the calls as plain data, as Lightning App shows them in `state["calls"]`."""
        found: dict[str, Any] = {"latest_call_hash": self.newest.key if self.newest else None}
        for key, call in self.current.items():
            found[key] = {"call_hash": key, "statuses": [_without_empty(status) for status in call.statuses]}
        return found


def _without_empty(status: WorkStatus) -> dict[str, Any]:
    """Return a status as plain data; the state has some for each call, so they have no empty fields."""
    fields = status._asdict()
    return {name: value for name, value in fields.items() if value or name == "timestamp"}
