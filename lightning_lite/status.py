"""Statuses of works and apps.

Names and rules are those of Lightning App. The reasons of failures that Lightning App did not detect are new:
a crash, a process that did not start, a value that can't be sent.
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
    """The status of a work or of one of its calls, from one moment on.

    Attributes:
        stage: One of `WorkStageStatus`.
        timestamp: Time of the change, in seconds since 1970.
        reason: One of `WorkFailureReasons` for a failure, else `None`.
        message: One line for people, or "".
        count: Number of the attempt, from 1; 0 for a status of the work itself.
        traceback: The traceback of the user's frames, or "".
    """

    stage: str
    timestamp: float = 0.0
    reason: str | None = None
    message: str = ""
    count: int = 0  # type: ignore[assignment]  # Lightning App uses this name; it hides tuple.count
    traceback: str = ""


class AppStage:
    """The stages of an app."""

    BLOCKING = "blocking"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


class AppStatus(NamedTuple):
    """The status of a whole app.

    Attributes:
        is_ui_ready: Whether the root flow is ready to show its user interface.
        work_statuses: The status of each work by name.
    """

    is_ui_ready: bool
    work_statuses: dict[str, WorkStatus]
