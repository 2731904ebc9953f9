"""Statuses of works and apps.

Names and rules are as in Lightning App. The reasons of failures that Lightning App did not detect are new:
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
    LOST = "lost"
    TIMEOUT = "timeout"
    START_FAILED = "start_failed"
    INVALID_VALUE = "invalid_value"


class WorkStatus(NamedTuple):
    """The status of a work or of one of its calls, from one moment on."""

    # Each field has its own text, because an editor shows that at `work.status.stage`.
    stage: str
    """One of `WorkStageStatus`."""
    timestamp: float = 0.0
    """Time of the change, in seconds since 1970."""
    reason: str | None = None
    """One of `WorkFailureReasons` for a failure, else `None`."""
    message: str = ""
    """One line for people, or ""."""
    count: int = 0  # type: ignore[assignment]  # Lightning App uses this name; it hides tuple.count
    """Number of the attempt, from 1; 0 for a status of the work itself."""
    traceback: str = ""
    """The traceback of the user's frames, or ""."""


class AppStage:
    """The stages of an app."""

    BLOCKING = "blocking"
    RUNNING = "running"
    STOPPING = "stopping"
    FAILED = "failed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"


class AppStatus(NamedTuple):
    """The status of a whole app."""

    is_ui_ready: bool
    """Whether the root flow is ready to show its user interface."""
    work_statuses: dict[str, WorkStatus]
    """The status of each work by name."""
