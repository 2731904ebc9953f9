"""Environment variables, defaults, and the options of a run made from them."""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from typing import NamedTuple, Self

from lightning_lite.errors import ComponentError, RunnerError

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

#: Names of the runners, the default first.
RUNNERS = ("processes", "inline")

#: Ways in which the processes of works start, the default first.
START_METHODS = ("spawn", "forkserver")

#: Folder in the working directory that holds everything by default.
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
    """Return whether written data must survive the loss of power.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_DURABLE` is looked up; `1`, `true`, `yes` and `on` mean yes.
    """
    return _flag(given, environ.get(DURABLE_VARIABLE), default=False)


def resolve_log_level(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return how much the framework logs: `info` or `debug`.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_LOG_LEVEL` is looked up; without it, `info`.

    Raises:
        ComponentError: It is something else.
    """
    level = given or environ.get(LOG_LEVEL_VARIABLE) or "info"
    if level not in ("debug", "info"):
        raise ComponentError(f"Log Level should be in ['debug', 'info']. Found {level}")
    return level


class RunOptions(NamedTuple):
    """How an app is run: made once, from arguments and environment, and handed down.

    Attributes:
        root_dir: Absolute folder that holds drives, runs and logs.
        runner: `processes` or `inline`.
        start_method: `spawn` or `forkserver`.
        durable: Whether written data must survive the loss of power.
        max_running: How many works run a call at once, or `None` for all.
        resume: Whether to continue the latest run that its flow did not end; or the id of a run.
        retry_failed: Whether calls that have failed in that run are run again.
        command_channel: Whether other terminals may send commands to the app.
        view: Whether to show the works at the bottom of the terminal, where there is one.
    """

    root_dir: str
    runner: str = "processes"
    start_method: str = "spawn"
    durable: bool = False
    max_running: int | None = None
    resume: bool | str = False
    retry_failed: bool = False
    command_channel: bool = True
    view: bool = True

    @classmethod
    def resolve(
        cls,
        *,
        root_dir: str | os.PathLike[str] | None = None,
        runner: str | None = None,
        start_method: str | None = None,
        durable: bool | None = None,
        max_running: int | None = None,
        resume: bool | str | None = None,
        retry_failed: bool | None = None,
        command_channel: bool | None = None,
        view: bool | None = None,
        environ: MutableMapping[str, str] = os.environ,
    ) -> Self:
        """Return the options: of each the argument if it is given, else its variable, else its default.

        `LIGHTNING_LITE_RESUME` and `LIGHTNING_LITE_RETRY_FAILED` are removed from `environ`: they mean the
        next run of this process, not the runs that its works start.

        Raises:
            RunnerError: There is no such runner or start method.

        Example:
            >>> environ = {"LIGHTNING_LITE_START_METHOD": "forkserver"}
            >>> options = RunOptions.resolve(runner="inline", environ=environ)
            >>> options.runner, options.start_method, options.resume
            ('inline', 'forkserver', False)
        """
        asked_resume = environ.pop(RESUME_VARIABLE, None)
        asked_retry = environ.pop(RETRY_FAILED_VARIABLE, None)
        return cls(
            root_dir=resolve_root(root_dir, environ),
            runner=_one_of("runner", RUNNERS, runner or environ.get(RUNNER_VARIABLE)),
            start_method=_one_of(
                "start method", START_METHODS, start_method or environ.get(START_METHOD_VARIABLE)
            ),
            durable=resolve_durable(durable, environ),
            max_running=max_running,
            resume=_resume(resume, (asked_resume or "").strip()),
            retry_failed=_flag(retry_failed, asked_retry, default=False),
            command_channel=_flag(command_channel, environ.get(COMMAND_CHANNEL_VARIABLE), default=True),
            view=_flag(view, environ.get(VIEW_VARIABLE), default=True),
        )


def _flag(given: bool | None, variable: str | None, *, default: bool) -> bool:
    """Return `given`, else what the variable means: one of the words for the other value than the default."""
    if given is not None:
        return given
    word = (variable or "").strip().lower()
    return word not in _NO if default else word in _YES


def _resume(given: bool | str | None, asked: str) -> bool | str:
    if given is not None:
        return given
    if not asked or asked.lower() in _NO:
        return False
    return asked.lower() in _YES or asked


def _one_of(what: str, known: tuple[str, ...], given: str | None) -> str:
    """Return `given`, or the first that is known.

    Raises:
        RunnerError: It is none of those that are known.
    """
    if given is not None and given not in known:
        there = " and ".join(map(repr, known))
        raise RunnerError(f"There is no {what} {given!r}; there are {there}.")
    return given or known[0]
