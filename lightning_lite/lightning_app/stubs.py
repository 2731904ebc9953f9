"""Constants, values and errors of Lightning App that apps name, and that have hardly any effect here."""

from __future__ import annotations

from time import time
from typing import Any, NamedTuple

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
    """The component that runs the code."""

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


class AppInfo(NamedTuple):
    """Title, description and other facts for the page of a Lightning App; stored, without effect.

    Attributes:
        title: Title of the page.
        favicon: Address of its icon.
        description: One or two sentences.
        image: Address of a picture.
        meta_tags: Lines for the head of the page.
        on_connect_end: Text for people who connect to the app.
    """

    title: str | None = None
    favicon: str | None = None
    description: str | None = None
    image: str | None = None
    meta_tags: list[str] | None = None
    on_connect_end: str | None = None


class MisconfigurationException(Exception):
    """Something was set up wrongly; raised here if a file has no app, or a command of `--setup` fails."""


class InvalidPathException(Exception):
    """A path is invalid; never raised here."""


class LightningAppStateException(Exception):
    """The state of the app is invalid; never raised here."""


class LightningPlatformException(Exception):
    """The cloud has failed; raised here by functions that need it."""


class LogLinesLimitExceeded(Exception):
    """The cloud returns no more lines of a log; never raised here."""


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
