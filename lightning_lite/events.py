"""What can happen to a run: one small immutable class for each thing.

The engine emits events, the journal stores them, and one fold (`tree.calls.CallBook.apply` for the calls of a
work, `engine.history.RunHistory.apply` for a whole run) applies them: while the app runs, on resume, and for
`status`, `timeline` and pages.

Each event carries the name of its component, if it is about one, and its time in seconds since 1970. Values
are encoded (`values.codec`) or pickled (`values.pickling`); both are bytes, so reading an event runs no code
of a user.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from lightning_lite.messages import Failure
from lightning_lite.status import WorkStatus


class StoredValue(Protocol):
    """A pickled value that stays on disk until it is read."""

    def load(self) -> bytes:
        """Return the bytes."""


class RunBegun(NamedTuple):
    """A process took up the run: at its start, and at each resume."""

    time: float


class ComponentAttached(NamedTuple):
    """A flow or a work came into the tree.

    Attributes:
        component: Its full name.
        time: Seconds since 1970.
        is_work: Whether it is a work, else a flow.
        identity: Module, or path of the script, and qualified name of its class.
        state: Encoded values of its attributes at this moment, by name.
    """

    component: str
    time: float
    is_work: bool
    identity: tuple[str, str]
    state: dict[str, bytes]


class ComponentDetached(NamedTuple):
    """A component was taken out of the tree, with all below it; its name may be given to another one."""

    component: str
    time: float


class StateWritten(NamedTuple):
    """The flow wrote attributes of a component; `values` are encoded, by name."""

    component: str
    time: float
    values: dict[str, bytes]


class StateReported(NamedTuple):
    """A work reported new values of its attributes, and they count; `values` are encoded, by name."""

    component: str
    time: float
    values: dict[str, bytes]


class WorkStatusChanged(NamedTuple):
    """Something happened to the process of a work, outside of its calls."""

    component: str
    time: float
    status: WorkStatus


class CallAsked(NamedTuple):
    """The flow asked for a call that has no record yet.

    Attributes:
        component: Name of the work.
        key: Key of the call.
        time: Seconds since 1970.
        number: 1 for the first call of the work.
        arguments: Pickled `(args, kwargs)`, or `None` if they are too big to be kept.
    """

    component: str
    key: str
    time: float
    number: int
    arguments: bytes | None


class CallStatusChanged(NamedTuple):
    """Something happened to a call.

    Attributes:
        component: Name of the work.
        key: Key of the call.
        time: Seconds since 1970.
        number: Number of the call.
        status: What happened.
    """

    component: str
    key: str
    time: float
    number: int
    status: WorkStatus


class CallSucceeded(NamedTuple):
    """A call returned, and is `succeeded` from now on; `value` is its pickled answer, or where it is kept."""

    component: str
    key: str
    time: float
    value: bytes | StoredValue


class CallFailed(NamedTuple):
    """A call failed after its last attempt, and the app goes on."""

    component: str
    key: str
    time: float
    failure: Failure


class CallSurvived(NamedTuple):
    """The flow has lived long enough after it sent a call: a later death of the flow has another cause."""

    component: str
    key: str
    time: float


class AnswerUsed(NamedTuple):
    """The flow used up the answer of a call of a work with `cache_calls=False`."""

    component: str
    key: str
    time: float


class ScheduleFired(NamedTuple):
    """The time of a schedule has come; `component` is the name of its flow and of the schedule."""

    component: str
    time: float


#: What can happen to a call.
CallEvent = CallAsked | CallStatusChanged | CallSucceeded | CallFailed | CallSurvived | AnswerUsed

#: What can happen to a work and its calls.
WorkEvent = WorkStatusChanged | CallEvent

#: What can happen to a run.
Event = (
    RunBegun
    | ComponentAttached
    | ComponentDetached
    | StateWritten
    | StateReported
    | ScheduleFired
    | WorkStatusChanged
    | CallAsked
    | CallStatusChanged
    | CallSucceeded
    | CallFailed
    | CallSurvived
    | AnswerUsed
)


def is_below(name: str, top: str) -> bool:
    """Return whether the component called `name` is `top`, or stands below it.

    Example:
        >>> is_below("root.train.eval", "root.train"), is_below("root.training", "root.train")
        (True, False)
    """
    return f"{name}.".startswith(f"{top}.")
