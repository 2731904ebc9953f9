"""Every letter that crosses a process, one small immutable class each.

    main → runner   PrepareWork, StartWork, StopWork, KillWork,   what to do with a process
                    DumpStack
    main → work     RunCall, WriteState, AcknowledgeState         carried by the runner
    work → main     WorkStarted, StateChanged, RunEnded           carried by the runner
    runner → main   StartFailed, WorkExited                       what became of a process
    outside → main  StopWanted, RestartWanted                     what somebody asks for at another terminal

A verb and a noun is a request, a past participle is a fact. Values of the state travel *frozen*
(`state.frozen`), arguments and answers *packed* (`packing`): both are bytes, so a letter is cheap
to send, can't change under way, and nothing is unpacked before somebody asks for it.
"""

from __future__ import annotations

from typing import NamedTuple


class Failure(NamedTuple):
    """Why a call or a start failed, in a form that always travels.

    Attributes:
        reason: `user_exception`, `crashed`, `timeout`, `start_failed`, `invalid_value` or `stopped`.
        message: One line: what, in which call, after how long.
        traceback: The traceback of the user's frames as text, or "".
        error: The exception, packed, or `None` if there is none or it can't travel.
        captured: Whether the work's `on_exception` took it, so that the app goes on; `None` if not asked.
    """

    reason: str
    message: str
    traceback: str = ""
    error: bytes | None = None
    captured: bool | None = None


class PrepareWork(NamedTuple):
    """Begin with the process of a work, whose `StartWork` follows at once: it boots while that is packed.

    Attributes:
        work: Name of the work.
        env: See `StartWork`.
        cwd: See `StartWork`.
    """

    work: str
    env: dict[str, str] | None = None
    cwd: str | None = None


class StartWork(NamedTuple):
    """Start the process of a work.

    Attributes:
        work: Name of the work.
        host: The packed child-side machine of the work (`core.host.WorkHost`).
        parallel: Whether the flow goes on while a call runs (the inline runner then uses a thread).
        env: Environment variables to add to those of the parent.
        cwd: Working directory, or `None` for that of the parent.
    """

    work: str
    host: bytes
    parallel: bool = False
    env: dict[str, str] | None = None
    cwd: str | None = None


class StopWork(NamedTuple):
    """End the process of a work in order: tell it, wait `timeout` seconds, terminate, kill its group."""

    work: str
    timeout: float


class KillWork(NamedTuple):
    """End the process of a work and its whole group at once."""

    work: str


class RunCall(NamedTuple):
    """Run one attempt of a call; sent only to a work that is started and idle.

    Attributes:
        work: Name of the work.
        key: Key of the call.
        attempt: 1 for the first attempt of this call.
        arguments: Packed `(args, kwargs)`.
        changes: What the flow wrote and the work has not confirmed yet, by attribute: the number of the
            write and the frozen value. A letter repeats older ones, the number tells whether they are news.
        written: Number of the newest write of the flow.
    """

    work: str
    key: str
    attempt: int
    arguments: bytes
    changes: dict[str, tuple[int, bytes]]
    written: int


class WriteState(NamedTuple):
    """The flow wrote attributes of a work while a call runs; the same fields as in `RunCall`."""

    work: str
    changes: dict[str, tuple[int, bytes]]
    written: int


class AcknowledgeState(NamedTuple):
    """The flow has applied the last `StateChanged`; the work may send the next one."""

    work: str


class DumpStack(NamedTuple):
    """Let the process of a work write the Python stacks of all its threads to its output."""

    work: str


class WorkStarted(NamedTuple):
    """The process of a work is up, its `on_start` has run, and it waits for calls."""

    work: str
    pid: int


class StateChanged(NamedTuple):
    """Attributes of a work have new values.

    Attributes:
        work: Name of the work.
        changes: Frozen values by attribute; empty if only a write is confirmed.
        applied: Number of the newest write of the flow that the work has applied.
    """

    work: str
    changes: dict[str, bytes]
    applied: int


class RunEnded(NamedTuple):
    """One attempt of a call has ended; carries the rest of the changes.

    Attributes:
        work: Name of the work.
        key: Key of the call.
        attempt: The number from `RunCall`.
        changes: As in `StateChanged`.
        applied: As in `StateChanged`.
        value: Packed answer, or `None` if the attempt failed.
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
    """The process could not start or could not load its work; `WorkExited` follows."""

    work: str
    failure: Failure


class WorkExited(NamedTuple):
    """The process of a work is gone; always the last letter of that process.

    Attributes:
        work: Name of the work.
        exitcode: As `subprocess` has it: negative for a signal. `None` if there never was a process, or if
            nobody knows; `detail` says which.
        detail: What else the system tells, for example that it ran out of memory; or "".
    """

    work: str
    exitcode: int | None
    detail: str = ""


class StopWanted(NamedTuple):
    """Somebody outside wants a work to end, as by the flow's `work.stop(timeout)`; 0 means at once.

    The runner may have begun with it already, because the flow may be busy.
    """

    work: str
    timeout: float


class RestartWanted(NamedTuple):
    """Somebody outside wants a fresh process of a work, as by the flow's `work.restart(timeout)`.

    The runner may have begun to end the old one already.
    """

    work: str
    timeout: float


#: What somebody outside asks for.
ExternalRequest = StopWanted | RestartWanted

#: What the machine sends.
Request = PrepareWork | StartWork | StopWork | KillWork | RunCall | WriteState | AcknowledgeState | DumpStack

#: What the machine receives.
Report = WorkStarted | StateChanged | RunEnded | StartFailed | WorkExited | ExternalRequest
