"""The apps that run in this process, by the folders of their runs, for code that changes their state."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from lightning_lite.app.flow_requests import FlowRequests
from lightning_lite.app.state_changes import StateChange, apply_changes
from lightning_lite.errors import AppEnding, StateError
from lightning_lite.tree.flow import LightningFlow

_log = logging.getLogger("lightning_lite")


class RunningHere(Protocol):
    """The part of a session that is used here.

    Attributes:
        flow_requests: The requests of other threads to the flow.
        thread: Identifier of the thread that runs the flow.
    """

    flow_requests: FlowRequests
    thread: int

    @property
    def root(self) -> LightningFlow:
        """The root flow."""


_running: dict[str, RunningHere] = {}


def add_running(folder: str, app: RunningHere) -> None:
    """Register that an app runs in this process; `folder` is the folder of its run."""
    _running[folder] = app


def remove_running(folder: str) -> None:
    """Register that the app of a run ends."""
    _running.pop(folder, None)


def change_here(folder: str, changes: Sequence[StateChange]) -> bool:
    """Change the state of an app that runs in this process.

    In the thread of its flow, where nothing can wait for the flow, the changes are made after the pass; an
    error is logged then.

    Args:
        folder: Absolute path of the folder of its run.
        changes: The changes.

    Returns:
        Whether it runs here; if not, nothing has happened.

    Raises:
        StateError: The changes are refused, see `apply_changes`.
        AppEnding: The app is ending.
        NoAnswer: The flow has not made them in time.
    """
    app = _running.get(folder)
    if app is None:
        return False
    change = partial(apply_changes, app.root, changes)
    if app.thread != threading.get_ident():
        app.flow_requests.ask(change)
    else:
        app.flow_requests.submit(partial(_change_later, change), _ignore)
    return True


def _change_later(change: partial[None]) -> None:
    try:
        change()
    except (StateError, AppEnding) as error:
        _log.warning("A change of the state through AppState was not made: %s", error)


def _ignore() -> None:
    """Wait for no answer."""
