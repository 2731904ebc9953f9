"""Stages and reasons with the constants of Lightning App that never occur here: apps compare with them."""

from __future__ import annotations

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


class CacheCallsKeys:
    """Keys in `work.state["calls"]`."""

    LATEST_CALL_HASH = "latest_call_hash"
