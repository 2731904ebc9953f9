"""Statuses of works and apps, in the words of Lightning App.

Rule by rule as Lightning App has it, with the reasons of a failure that it could not see: a crash, a
process that did not start, a value that can't travel.
"""

from __future__ import annotations

from lightning_lite.light_typing import NamedTuple


class WorkStageStatus:
    """The stages of a work."""

    NOT_STARTED = "not_started"
    STARTED = "started"
    PENDING = "pending"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    STOPPED = "stopped"


class WorkFailureReasons:
    """Why a call failed."""

    USER_EXCEPTION = "user_exception"
    CRASHED = "crashed"
    TIMEOUT = "timeout"
    START_FAILED = "start_failed"
    INVALID_VALUE = "invalid_value"


class WorkStatus(NamedTuple):
    """One thing that happened to a work or to one of its calls.

    Attributes:
        stage: One of `WorkStageStatus`.
        timestamp: Seconds since 1970.
        reason: One of `WorkFailureReasons` for a failure, else `None`.
        message: One line for people, "" where there is nothing to say.
        count: Number of the attempt that it is about, from 1; 0 if it is not about a call.
        traceback: The traceback of the user's frames, "" if there is none.
    """

    stage: str
    timestamp: float = 0.0
    reason: str | None = None
    message: str = ""
    count: int = 0  # type: ignore[assignment]  # the name is Lightning's; it hides tuple.count
    traceback: str = ""


class AppStage:
    """The stages of an app."""

    BLOCKING = "blocking"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"


class AppStatus(NamedTuple):
    """The status of a whole app.

    Attributes:
        is_ui_ready: Whether the root flow says that it is ready.
        work_statuses: The status of each work by name.
    """

    is_ui_ready: bool
    work_statuses: dict[str, WorkStatus]
