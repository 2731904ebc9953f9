"""The events of a run: one small immutable class for each kind.

The engine emits events, the journal stores them, and one fold (`tree.calls.CallRecords.apply` for the calls
of a work, `engine.history.RunHistory.apply` for a whole run) applies them: while the app runs, on resume, and
for `status`, `timeline` and pages.

Each event has a time in seconds since 1970, and the name of its component if it concerns one. Values are
encoded (`values.codec`) or pickled (`values.pickling`). Both are bytes, so reading an event runs no code of
a user.
"""

from __future__ import annotations

from lightning_lite.light_typing import NamedTuple, Protocol
from lightning_lite.messages import Failure
from lightning_lite.places import Place
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
    """The flow has survived a call it sent: its later death is not attributed to this call."""

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


#: Events of a call.
CallEvent = CallAsked | CallStatusChanged | CallSucceeded | CallFailed | CallSurvived | AnswerUsed

#: Events of a work and its calls.
WorkEvent = ProcessStarted | WorkStatusChanged | CallEvent

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
)


def is_below(name: str, top: str) -> bool:
    """Return whether the component `name` is `top` or a descendant of it.

    Example:
        >>> is_below("root.train.eval", "root.train"), is_below("root.training", "root.train")
        (True, False)
    """
    return f"{name}.".startswith(f"{top}.")
