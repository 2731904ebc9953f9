"""Environment and defaults, read once at the door."""

from __future__ import annotations

import os

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping

VERSION = "0.1.0"

ROOT_VARIABLE = "LIGHTNING_LITE_ROOT"
DURABLE_VARIABLE = "LIGHTNING_LITE_DURABLE"
RUNNER_VARIABLE = "LIGHTNING_LITE_RUNNER"
START_METHOD_VARIABLE = "LIGHTNING_LITE_START_METHOD"
RESUME_VARIABLE = "LIGHTNING_LITE_RESUME"
RETRY_FAILED_VARIABLE = "LIGHTNING_LITE_RETRY_FAILED"
LOG_LEVEL_VARIABLE = "LIGHTNING_LITE_LOG_LEVEL"
COMMAND_CHANNEL_VARIABLE = "LIGHTNING_LITE_COMMAND_CHANNEL"
VIEW_VARIABLE = "LIGHTNING_LITE_VIEW"

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})

#: Folder in the working directory that holds everything if nobody says otherwise.
DEFAULT_ROOT = ".lightning_lite"

#: Seconds that a work gets to end by itself when it is stopped, before it is terminated and killed.
STOP_TIMEOUT = 5.0

#: Seconds between two looks into the lists and dicts of a work whose call runs.
LOOK_INTERVAL = 0.1

#: Seconds that one try to reach a work's port may take.
PROBE_TIMEOUT = 1.0

#: Seconds between the first two tries to reach a work's port; doubled from try to try.
PROBE_INTERVAL_MIN = 0.005

#: Seconds between two tries at most.
PROBE_INTERVAL_MAX = 1.0


def resolve_root(given: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the absolute folder that holds drives, runs and logs.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_ROOT` is looked up.

    Returns:
        `given`, else the variable, else `./.lightning_lite`, made absolute now.
    """
    return os.path.abspath(given or environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)


def resolve_durable(given: bool | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether what was written must survive the loss of power.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_DURABLE` is looked up; `1`, `true`, `yes` and `on` mean yes.
    """
    if given is not None:
        return given
    return environ.get(DURABLE_VARIABLE, "").strip().lower() in _YES


def resolve_runner(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the name of the runner.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_RUNNER` is looked up; without it, `processes`.
    """
    return given or environ.get(RUNNER_VARIABLE) or "processes"


def resolve_start_method(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return how the processes of works come into being.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_START_METHOD` is looked up; without it, `spawn`.
    """
    return given or environ.get(START_METHOD_VARIABLE) or "spawn"


def resolve_log_level(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return how much the framework logs.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_LOG_LEVEL` is looked up; without it, `info`.
    """
    return given or environ.get(LOG_LEVEL_VARIABLE) or "info"


def resolve_command_channel(given: bool | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a running app takes commands from other terminals.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_COMMAND_CHANNEL` is looked up; `0`, `false`, `no` and `off` mean no.
    """
    if given is not None:
        return given
    return environ.get(COMMAND_CHANNEL_VARIABLE, "").strip().lower() not in _NO


def resolve_view(given: bool | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether a running app may show its works at the bottom of the terminal, where there is one.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_VIEW` is looked up; `0`, `false`, `no` and `off` mean no.
    """
    if given is not None:
        return given
    return environ.get(VIEW_VARIABLE, "").strip().lower() not in _NO


def take_resume(given: bool | str | None, environ: MutableMapping[str, str] = os.environ) -> bool | str:
    """Return what is to be resumed: a run by its id, the latest one (`True`), or nothing (`False`).

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_RESUME` is looked up: an id, or a yes or no as for the others. It is
            taken out of there: it means the next run of this process, not those that its works start.

    Example:
        >>> environ = {"LIGHTNING_LITE_RESUME": "1"}
        >>> take_resume(None, environ), take_resume(None, environ)
        (True, False)
    """
    asked = environ.pop(RESUME_VARIABLE, "").strip()
    if given is not None:
        return given
    if not asked or asked.lower() in _NO:
        return False
    return asked.lower() in _YES or asked


def take_retry_failed(given: bool | None, environ: MutableMapping[str, str] = os.environ) -> bool:
    """Return whether calls that have failed are run again on resume.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_RETRY_FAILED` is looked up, and taken out.
    """
    asked = environ.pop(RETRY_FAILED_VARIABLE, "").strip().lower() in _YES
    return asked if given is None else given
