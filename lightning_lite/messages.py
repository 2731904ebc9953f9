"""The messages between an app and the process of a work, one small immutable class each.

    main → work     RunCall, WriteState, AcknowledgeState, StopWork
    work → main     WorkStarted, StateChanged, RunEnded, StartFailed

The runner carries them; `main_messages` has those that do not reach the process of a work. State values
are encoded (`values.codec`), arguments and answers are pickled (`values.pickling`). Both are bytes, so a
message is cheap to send, can't change after it was made, and is decoded only when its value is read.
"""

from __future__ import annotations

from lightning_lite.light_typing import NamedTuple
from lightning_lite.process_places import Place


class Failure(NamedTuple):
    """Why a call or a start failed, in a form that can always be sent.

    Attributes:
        reason: `user_exception`, `crashed`, `lost`, `timeout`, `start_failed`, `invalid_value` or `stopped`.
        message: One line that describes the failure, the call and the duration.
        traceback: The traceback of the user's frames as text, or "".
        error: The pickled exception, or `None` if there is none or it can't be pickled.
        captured: Whether `on_exception` of the work has handled it, so that the app continues; `None` if it
            was not called.
    """

    reason: str
    message: str
    traceback: str = ""
    error: bytes | None = None
    captured: bool | None = None


class StopWork(NamedTuple):
    """End the process of a work: stop it, wait `timeout` seconds, terminate it, then kill its group."""

    work: str
    timeout: float


class RunCall(NamedTuple):
    """Run one attempt of a call; sent only to a work that has started and is idle.

    Attributes:
        work: Name of the work.
        key: Key of the call.
        attempt: 1 for the first attempt of this call.
        arguments: Pickled `(args, kwargs)`.
        changes: The writes of the flow that the work has not confirmed: number and encoded value, by
            attribute. A message repeats older writes; the receiver skips those with a known number.
        written: Number of the newest write of the flow.
        secrets: The texts of the secrets in `arguments`, by token, or `None`.
    """

    work: str
    key: str
    attempt: int
    arguments: bytes
    changes: dict[str, tuple[int, bytes]]
    written: int
    secrets: dict[str, str] | None = None


class WriteState(NamedTuple):
    """The flow wrote attributes of a work while a call runs; the fields are as in `RunCall`."""

    work: str
    changes: dict[str, tuple[int, bytes]]
    written: int


class AcknowledgeState(NamedTuple):
    """The flow has applied the last `StateChanged`, so the work may send the next one."""

    work: str


class WorkStarted(NamedTuple):
    """The process of a work is up: its `on_start` has run, and it waits for calls.

    Attributes:
        work: Name of the work.
        place: The place of the process.
        address: Address at which other machines reach it, or "" with a runner of one machine.
    """

    work: str
    place: Place
    address: str = ""


class StateChanged(NamedTuple):
    """Attributes of a work have new values.

    Attributes:
        work: Name of the work.
        changes: Encoded values by attribute; empty if the message only confirms a write.
        applied: Number of the newest write of the flow that the work has applied.
    """

    work: str
    changes: dict[str, bytes]
    applied: int


class RunEnded(NamedTuple):
    """One attempt of a call has ended; the message includes the remaining changes.

    Attributes:
        work: Name of the work.
        key: Key of the call.
        attempt: The number in `RunCall`.
        changes: As in `StateChanged`.
        applied: As in `StateChanged`.
        value: Pickled answer, or `None` if the attempt failed.
        failure: Why it failed, or `None`.
    """

    work: str
    key: str
    attempt: int
    changes: dict[str, bytes]
    applied: int
    value: bytes | None
    failure: Failure | None


class StartFailed(NamedTuple):
    """The process failed to start or to load its work; `WorkExited` follows."""

    work: str
    failure: Failure
