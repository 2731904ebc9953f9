"""Stages and reasons with the constants of Lightning App that never occur here: apps compare with them."""

from __future__ import annotations

from time import time
from typing import Any

from lightning_lite import status


class AppStage(status.AppStage):
    """The stages of an app."""

    RESTARTING = "restarting"


class WorkFailureReasons(status.WorkFailureReasons):
    """Why a call failed."""

    INVALID_RETURN_VALUE = "invalid_return_value"
    SPOT_RETRIVAL = "spot_retrival"


class WorkStopReasons:
    """Why a work was stopped; statuses here have no reason then."""

    PENDING = "pending"
    SIGTERM_SIGNAL_HANDLER = "sigterm_signal_handler"


class WorkPendingReason:
    """Why a work of the cloud is pending."""

    IMAGE_BUILDING = "image_building"
    REQUESTING_RESOURCE = "requesting_ressource"


class ComponentContext:
    """Who runs the code."""

    FLOW = "flow"
    WORK = "work"
    FRONTEND = "frontend"


class OpenAPITags:
    """Tags of routes in `/openapi.json` of an app."""

    APP_CLIENT_COMMAND = "app_client_command"
    APP_COMMAND = "app_command"
    APP_API = "app_api"


class CacheCallsKeys:
    """Keys in `work.state["calls"]`."""

    LATEST_CALL_HASH = "latest_call_hash"


def make_status(stage: str, message: str | None = None, reason: str | None = None) -> dict[str, Any]:
    """Return a status as plain data, as of now.

    Args:
        stage: One of `WorkStageStatus`.
        message: One line for people.
        reason: One of `WorkFailureReasons`.

    Example:
        >>> status = make_status("failed", reason="user_exception")
        >>> status["stage"], status["reason"], "message" in status
        ('failed', 'user_exception', False)
    """
    given = {"message": message, "reason": reason}
    return {"stage": stage, "timestamp": time(), **{name: text for name, text in given.items() if text}}
