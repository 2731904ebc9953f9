"""The messages between an app and its works, one small immutable class each.

    main → runner   PrepareWork, StartWork, StopWork, KillWork,   requests about a process
                    DumpStack
    main → work     RunCall, WriteState, AcknowledgeState         carried by the runner
    work → main     WorkStarted, StateChanged, RunEnded           carried by the runner
    runner → main   StartFailed, WorkExited                       reports about a process
    outside → main  StopWanted, RestartWanted                     requests from another terminal
                    HandlerWanted                                 request of another thread to the flow

The name of a request is a verb and a noun, that of a report ends in a past participle. State values are
encoded (`values.codec`), arguments and answers are pickled (`values.pickling`). Both are bytes, so a message
is cheap to send, can't change after it was made, and is decoded only when its value is read.
"""

from __future__ import annotations

from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple
from lightning_lite.places import Place

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from lightning_lite.resources import Resources


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


class PrepareWork(NamedTuple):
    """Start the process of a work early: it boots while the main process pickles its `StartWork`.

    Attributes:
        work: Name of the work.
        env: See `StartWork`.
        cwd: See `StartWork`.
        resources: See `StartWork`.
    """

    work: str
    env: dict[str, str] | None = None
    cwd: str | None = None
    resources: Resources | None = None


class StartWork(NamedTuple):
    """Start the process of a work.

    Attributes:
        work: Name of the work.
        host: The pickled `engine.work_host.WorkHost` of the work.
        parallel: Whether the flow continues while a call runs (the inline runner then uses a thread).
        env: Environment variables that are added to those of the parent.
        cwd: Working directory, or `None` for that of the parent.
        descriptors: A `values.shared_objects.Descriptor` for each file descriptor that `host` needs; the
            runner takes them over.
        secrets: The texts of the secrets in `host`, by token, or `None`; the work gets them before `host`.
        resources: The resources that the process needs; `None` with a runner of one machine.
    """

    work: str
    host: bytes
    parallel: bool = False
    env: dict[str, str] | None = None
    cwd: str | None = None
    descriptors: tuple[Any, ...] = ()
    secrets: dict[str, str] | None = None
    resources: Resources | None = None


class StopWork(NamedTuple):
    """End the process of a work: stop it, wait `timeout` seconds, terminate it, then kill its group."""

    work: str
    timeout: float


class KillWork(NamedTuple):
    """Kill the process of a work and its whole process group."""

    work: str


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
    """The flow wrote attributes of a work while a call runs; the fields are those of `RunCall`."""

    work: str
    changes: dict[str, tuple[int, bytes]]
    written: int


class AcknowledgeState(NamedTuple):
    """The flow has applied the last `StateChanged`, so the work may send the next one."""

    work: str


class DumpStack(NamedTuple):
    """Make the process of a work write the Python stacks of its threads to its output."""

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


class WorkExited(NamedTuple):
    """The process of a work has exited; always the last message about that process.

    Attributes:
        work: Name of the work.
        exitcode: The exit code as in `subprocess`: negative for a signal. `None` if there was no process, or
            if the code is unknown; `detail` says which.
        detail: Further information, for example that the system ran out of memory; or "".
        lost: The part that was lost together with the process, in words that name the node: the node itself,
            the connection to it, or the server there; "" if the end of the process was seen. It has ended.
    """

    work: str
    exitcode: int | None
    detail: str = ""
    lost: str = ""


class StopWanted(NamedTuple):
    """Request from another terminal to stop a work, as with `work.stop(timeout)`; 0 means at once.

    The runner may have started to end the process already, because the flow may be busy.
    """

    work: str
    timeout: float


class RestartWanted(NamedTuple):
    """Request from another terminal to restart a work, as with `work.restart(timeout)`.

    The runner may have started to end the old process already.
    """

    work: str
    timeout: float


class HandlerWanted(NamedTuple):
    """Request of another thread of the main process to run a function in the thread of the flow.

    Attributes:
        work: Name of the root flow; it stands where other reports have the name of their work.
        begin: Returns the function, or `None` if its answer is not wanted any more.
        answer: Takes the value and the error of the function, once its events are in the journal.
    """

    work: str
    begin: Callable[[], Callable[[], Any] | None]
    answer: Callable[[Any, Exception | None], None]


#: Requests from other terminals.
ExternalRequest = StopWanted | RestartWanted

#: Messages that the machine sends.
Request = PrepareWork | StartWork | StopWork | KillWork | RunCall | WriteState | AcknowledgeState | DumpStack

#: Messages that the machine receives.
Report = WorkStarted | StateChanged | RunEnded | StartFailed | WorkExited | ExternalRequest | HandlerWanted
