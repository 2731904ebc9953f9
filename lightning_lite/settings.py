"""Environment and defaults, read once at the door."""

from __future__ import annotations

import os
from collections.abc import Mapping

VERSION = "0.1.0"

ROOT_VARIABLE = "LIGHTNING_LITE_ROOT"
DURABLE_VARIABLE = "LIGHTNING_LITE_DURABLE"
RUNNER_VARIABLE = "LIGHTNING_LITE_RUNNER"

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
    return environ.get(DURABLE_VARIABLE, "").strip().lower() in {"1", "true", "yes", "on"}


def resolve_runner(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the name of the runner.

    Args:
        given: What the user said, or `None`.
        environ: Where `LIGHTNING_LITE_RUNNER` is looked up; without it, `processes`.
    """
    return given or environ.get(RUNNER_VARIABLE) or "processes"
