"""The events of a run: one small immutable class for each kind.

The machine emits events, the journal stores them, and one fold (`tree.calls.CallRecords.apply` for the calls
of a work, `engine.history.RunHistory.apply` for a whole run) applies them: while the app runs, on resume, and
for `status`, `timeline` and pages.

Each event has a time in seconds since 1970, and the name of its component if it concerns one. Values are
encoded (`values.codec`) or pickled (`values.pickling`). Both are bytes, so reading an event runs no code of
a user.

A compacted journal begins with a snapshot: events whose names end in `Kept`, and plain ones. Together they
give the same history as the events that they replace.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from lightning_lite.messages import Failure
from lightning_lite.process_places import Place
from lightning_lite.status import WorkStatus


class StoredValue(Protocol):
    """A pickled value that stays on disk until it is read."""

    def load(self) -> bytes:
        """Return the pickled value."""


class RunBegun(NamedTuple):
    """A process has started or resumed the run."""

    time: float


class ComponentAttached(NamedTuple):
    """A flow or a work was attached to the tree.

    Attributes:
        component: Its full name.
        time: Seconds since 1970.
        is_work: Whether it is a work; else it is a flow.
        identity: Module (or path of the script) and qualified name of its class.
        state: Encoded values of its attributes at this moment, by name.
    """

    component: str
    time: float
    is_work: bool
    identity: tuple[str, str]
    state: dict[str, bytes]


class ComponentDetached(NamedTuple):
    """A component was removed from the tree with all below it; a later one may get its name."""

    component: str
    time: float


class StateWritten(NamedTuple):
    """The flow wrote attributes of a component; `values` are encoded, by name."""

    component: str
    time: float
    values: dict[str, bytes]


class StateReported(NamedTuple):
    """A work reported new values of its attributes, and the flow took them; `values` are encoded, by name."""

    component: str
    time: float
    values: dict[str, bytes]


class ProcessStarted(NamedTuple):
    """The process of a work is up; `place` is its host and its process id there."""

    component: str
    time: float
    place: Place


class WorkStatusChanged(NamedTuple):
    """The process of a work has a new status."""

    component: str
    time: float
    status: WorkStatus


class CallAsked(NamedTuple):
    """The flow requested a call that has no record yet.

    Attributes:
        component: Name of the work.
        key: Key of the call.
        time: Seconds since 1970.
        number: 1 for the first call of the work.
        arguments: Pickled `(args, kwargs)`, or `None` if they are too large for the journal.
    """

    component: str
    key: str
    time: float
    number: int
    arguments: bytes | None


class CallStatusChanged(NamedTuple):
    """A call has a new status.

    Attributes:
        component: Name of the work.
        key: Key of the call.
        time: Seconds since 1970.
        number: Number of the call.
        status: The new status.
    """

    component: str
    key: str
    time: float
    number: int
    status: WorkStatus


class CallSucceeded(NamedTuple):
    """A call returned, and its status is `succeeded`; `value` is its pickled answer, or its place on disk."""

    component: str
    key: str
    time: float
    value: bytes | StoredValue


class CallFailed(NamedTuple):
    """A call failed after its last attempt, and the app continues."""

    component: str
    key: str
    time: float
    failure: Failure


class CallSurvived(NamedTuple):
    """The flow has survived a call it sent: its later death is not attributed to this call.

    It has lived long enough after it, or its process has ended in order before it could record the end of the
    call: the next process records that.
    """

    component: str
    key: str
    time: float


class AnswerUsed(NamedTuple):
    """The flow has used the answer of a call of a work with `cache_calls=False`."""

    component: str
    key: str
    time: float


class ScheduleFired(NamedTuple):
    """A schedule has fired; `component` is the name of its flow and of the schedule."""

    component: str
    time: float


class KeptCall(NamedTuple):
    """A call in a snapshot.

    Attributes:
        key: Key of the call.
        number: Number of the call.
        attempt: Number of its newest attempt.
        ended: Whether it will not run again.
        answered: Whether the flow has used its answer, if the work has `cache_calls=False`.
        is_current: Whether it is the newest call with its key.
        is_listed: Whether the history lists it.
        value: Its pickled answer, or its place on disk; `None` if it has not succeeded.
        failure: Why it failed, or `None`.
        arguments: Its pickled `(args, kwargs)`, or `None` if they are unknown.
        statuses: Its statuses, oldest first.
        lost_at: Time of the last event before the process died that ran it, or `None`.
    """

    key: str
    number: int
    attempt: int
    ended: bool
    answered: bool
    is_current: bool
    is_listed: bool
    value: bytes | StoredValue | None
    failure: Failure | None
    arguments: bytes | None
    statuses: tuple[WorkStatus, ...]
    lost_at: float | None


class CallsKept(NamedTuple):
    """Part of a snapshot: calls of a work."""

    component: str
    time: float
    calls: tuple[KeptCall, ...]


class AnswersKept(NamedTuple):
    """Part of a snapshot: calls that succeeded and that the history no longer lists, as columns.

    Attributes:
        component: Name of the work.
        time: Seconds since 1970.
        keys: Keys of the calls.
        numbers: Numbers of the calls.
        attempts: Number of the newest attempt of each.
        times: When each ended, in seconds since 1970.
        values: The pickled answer of each, or its place on disk.
    """

    component: str
    time: float
    keys: tuple[str, ...]
    numbers: tuple[int, ...]
    attempts: tuple[int, ...]
    times: tuple[float, ...]
    values: tuple[bytes | StoredValue, ...]


class WorkKept(NamedTuple):
    """Part of a snapshot: a work, after all of its calls.

    Attributes:
        component: Name of the work.
        time: Seconds since 1970.
        identity: As in `ComponentAttached`; `None` if unknown.
        is_detached: Whether it was removed from the tree.
        num_unlisted: Number of its calls that the history no longer lists.
        counts: Numbers of its calls, failed attempts, successes and timeouts, and of the statuses of its
            process since it was attached.
        has_started: Whether its process has ever been up.
        newest: Key of its newest call, or "".
        status: Its status.
        statuses: The statuses of its process, oldest first.
    """

    component: str
    time: float
    identity: tuple[str, str] | None
    is_detached: bool
    num_unlisted: int
    counts: tuple[int, ...]
    has_started: bool
    newest: str
    status: WorkStatus
    statuses: tuple[WorkStatus, ...]


class HistoryKept(NamedTuple):
    """The last part of a snapshot: the data of the whole run.

    Attributes:
        time: Time of the last event, in seconds since 1970.
        begun: Times of the start and of each resume.
        times: Times of events.
        moved: Keys of calls whose work got another name before they ended.
        sent: Works and keys of calls that the process has sent and not survived yet.
        deaths: Works and keys of calls that a process has sent just before its death, and how often.
    """

    time: float
    begun: tuple[float, ...]
    times: tuple[float, ...]
    moved: tuple[str, ...]
    sent: tuple[tuple[str, str], ...]
    deaths: tuple[tuple[str, str, int], ...]


#: Events of a call.
CallEvent = CallAsked | CallStatusChanged | CallSucceeded | CallFailed | CallSurvived | AnswerUsed

#: Events of a work and its calls.
WorkEvent = ProcessStarted | WorkStatusChanged | CallEvent | CallsKept | AnswersKept | WorkKept

#: All events of a run.
Event = (
    RunBegun
    | ComponentAttached
    | ComponentDetached
    | StateWritten
    | StateReported
    | ScheduleFired
    | ProcessStarted
    | WorkStatusChanged
    | CallAsked
    | CallStatusChanged
    | CallSucceeded
    | CallFailed
    | CallSurvived
    | AnswerUsed
    | HistoryKept
    | CallsKept
    | AnswersKept
    | WorkKept
)


def is_below(name: str, top: str) -> bool:
    """Return whether the component `name` is `top` or a descendant of it.

    Example:
        >>> is_below("root.train.eval", "root.train"), is_below("root.training", "root.train")
        (True, False)
    """
    return f"{name}.".startswith(f"{top}.")


def ancestors(name: str) -> Iterator[str]:
    """Yield the names of the parent of a component, of its parent, and so on.

    Example:
        >>> list(ancestors("root.train.eval"))
        ['root.train', 'root']
    """
    while name := name.rpartition(".")[0]:
        yield name
