"""Environment variables, defaults, and `RunOptions`, which combines them."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Mapping, MutableMapping

from lightning_lite.errors import ComponentError, RunnerError, WorkingDirectoryGone
from lightning_lite.light_typing import TYPE_CHECKING, NamedTuple
from lightning_lite.root_access import ANY, GROUP, OWN, PRIVATE, ROOT_MODE_VARIABLE, TRUSTED
from lightning_lite.root_access import DEFAULT_ROOT as DEFAULT_ROOT

if TYPE_CHECKING:
    from typing import Self

ROOT_VARIABLE = "LIGHTNING_LITE_ROOT"
DURABLE_VARIABLE = "LIGHTNING_LITE_DURABLE"
RUNNER_VARIABLE = "LIGHTNING_LITE_RUNNER"
START_METHOD_VARIABLE = "LIGHTNING_LITE_START_METHOD"
RESUME_VARIABLE = "LIGHTNING_LITE_RESUME"
RETRY_FAILED_VARIABLE = "LIGHTNING_LITE_RETRY_FAILED"
LOG_LEVEL_VARIABLE = "LIGHTNING_LITE_LOG_LEVEL"
COMMAND_CHANNEL_VARIABLE = "LIGHTNING_LITE_COMMAND_CHANNEL"
VIEW_VARIABLE = "LIGHTNING_LITE_VIEW"
HISTORY_VARIABLE = "LIGHTNING_LITE_HISTORY"
ON_IDLE_VARIABLE = "LIGHTNING_LITE_ON_IDLE"

_YES = frozenset({"1", "true", "yes", "on"})
_NO = frozenset({"0", "false", "no", "off"})

#: What a user may ask of a root: that it is private or shared with a group, or that its writers are trusted.
ROOT_MODES = (PRIVATE, GROUP, TRUSTED)

#: Names of the runners, the default first.
RUNNERS = ("processes", "inline")

#: Start methods of the processes of works, the default first.
START_METHODS = ("spawn", "forkserver")

#: What becomes of an app in which nothing can change any more; with the default, a terminal decides.
ON_IDLE = ("auto", "wait", "fail")

#: Ended calls that the journal of a run keeps for `timeline`; remembered answers are always kept.
HISTORY = 10_000

#: Seconds that a stopped work has to exit, before it is terminated and killed.
STOP_TIMEOUT = 5.0

#: Seconds between two checks for changes inside the lists and dicts of a work while a call runs.
LOOK_INTERVAL = 0.1

#: Timeout in seconds of one attempt to connect to the port of a work.
PROBE_TIMEOUT = 1.0

#: Seconds between the first two attempts to connect to the port of a work; doubled for each further one.
PROBE_INTERVAL_MIN = 0.005

#: Maximum of seconds between two attempts.
PROBE_INTERVAL_MAX = 1.0


def working_directory() -> str:
    """Return the absolute path of the working directory.

    Raises:
        WorkingDirectoryGone: It was removed.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise WorkingDirectoryGone(
            "the working directory of this process was removed: change to a folder that exists with "
            "os.chdir(), or use absolute paths",
            errno=errno.ENOENT,
        ) from None


def absolute(path: str | os.PathLike[str]) -> str:
    """Return `path` as an absolute path.

    Raises:
        WorkingDirectoryGone: It is relative, and the working directory was removed.
    """
    return (
        os.path.abspath(path)
        if os.path.isabs(path)
        else os.path.normpath(os.path.join(working_directory(), path))
    )


def resolve_root(given: str | os.PathLike[str] | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the absolute folder that holds drives, runs and logs.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_ROOT` is looked up.

    Returns:
        `given`, else the variable, else `./.lightning_lite`, made absolute now.

    Raises:
        WorkingDirectoryGone: It is relative, and the working directory was removed.
    """
    return absolute(given or environ.get(ROOT_VARIABLE) or DEFAULT_ROOT)


def resolve_root_mode(given: str | None, *, is_named: bool, environ: Mapping[str, str] = os.environ) -> str:
    """Return with whom a root may be shared, as `root_access.opened` takes it.

    Args:
        given: The argument of the user: `private`, `group`, `trusted` or `None`.
        is_named: Whether the user named the root, with an argument or through the app.
        environ: Where `LIGHTNING_LITE_ROOT_MODE` and `LIGHTNING_LITE_ROOT` are looked up.

    Returns:
        `given`, else the variable. Else the mode of the folder decides; the group root of another user is
        only accepted if the user named it, because anybody can make one in a folder that others use.

    Raises:
        RunnerError: There is no such mode.

    Example:
        >>> resolve_root_mode("group", is_named=False)
        'group'
    """
    mode = given or environ.get(ROOT_MODE_VARIABLE) or None
    if mode is not None:
        return _one_of("root mode", ROOT_MODES, mode)
    return ANY if is_named or environ.get(ROOT_VARIABLE) else OWN


def resolve_durable(given: bool | None, environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether written data must survive a power failure.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_DURABLE` is looked up; `1`, `true`, `yes` and `on` enable it.
    """
    return _flag(given, environ.get(DURABLE_VARIABLE), default=False)


def has_no_colour() -> bool:
    """Return whether `NO_COLOR` has a value: then nothing on a terminal has colours."""
    return bool(os.environ.get("NO_COLOR"))


def resolve_log_level(given: str | None, environ: Mapping[str, str] = os.environ) -> str:
    """Return the log level of the framework: `info` or `debug`.

    Args:
        given: The argument of the user, or `None`.
        environ: Where `LIGHTNING_LITE_LOG_LEVEL` is looked up; without it, `info`.

    Raises:
        ComponentError: The level is neither of them.
    """
    level = given or environ.get(LOG_LEVEL_VARIABLE) or "info"
    if level not in ("debug", "info"):
        raise ComponentError(f"Log Level should be in ['debug', 'info']. Found {level}")
    return level


class RunOptions(NamedTuple):
    """The options of a run, made once from arguments and environment, and passed down.

    Attributes:
        root_dir: Absolute folder that holds drives, runs and logs.
        runner: `processes` or `inline`.
        start_method: `spawn` or `forkserver`.
        durable: Whether written data must survive a power failure.
        max_running: Number of works that may run a call at the same time, or `None` for no limit.
        resume: Whether to resume the latest run that its flow did not end; or the id of a run.
        retry_failed: Whether to run again the calls that failed in that run.
        command_channel: Whether other terminals may send commands to the app.
        view: Whether to show the works at the bottom of the terminal, if there is one.
        history: Number of ended calls that the journal keeps for `timeline` and the like.
        root_mode: With whom the root may be shared, as `resolve_root_mode` returns it.
        setup: Called in each process of a work before the work is loaded, or `None`.
        on_idle: What becomes of an app in which nothing can change any more: `wait` keeps it, `fail` ends it,
            `auto` keeps it if a terminal is attached.
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
    history: int = HISTORY
    root_mode: str = ANY
    setup: Callable[[], object] | None = None
    on_idle: str = "auto"

    @classmethod
    def resolve(
        cls,
        *,
        root_dir: str | os.PathLike[str] | None = None,
        root_mode: str | None = None,
        runner: str | None = None,
        start_method: str | None = None,
        durable: bool | None = None,
        max_running: int | None = None,
        resume: bool | str | None = None,
        retry_failed: bool | None = None,
        command_channel: bool | None = None,
        view: bool | None = None,
        setup: Callable[[], object] | None = None,
        on_idle: str | None = None,
        environ: MutableMapping[str, str] = os.environ,
    ) -> Self:
        """Return the options: for each one the argument if given, else its variable, else its default.

        `LIGHTNING_LITE_RESUME` and `LIGHTNING_LITE_RETRY_FAILED` are removed from `environ`: they apply
        to the next run of this process, not to runs that its works start.

        Raises:
            RunnerError: There is no such runner, start method, root mode or `on_idle`, or
                `LIGHTNING_LITE_HISTORY` is not a number.

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
            history=_history((environ.get(HISTORY_VARIABLE) or "").strip()),
            root_mode=resolve_root_mode(root_mode, is_named=bool(root_dir), environ=environ),
            setup=setup,
            on_idle=_one_of("on_idle", ON_IDLE, on_idle or environ.get(ON_IDLE_VARIABLE) or None),
        )


def _flag(given: bool | None, variable: str | None, *, default: bool) -> bool:
    """Return `given`, else the value of the variable; an unknown word means the default."""
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


def _history(asked: str) -> int:
    """Return the number of ended calls to keep.

    Raises:
        RunnerError: `asked` is not a number.
    """
    if asked and not asked.isdecimal():
        raise RunnerError(f"{HISTORY_VARIABLE}={asked!r} is not a number of calls, such as {HISTORY}.")
    return int(asked) if asked else HISTORY


def _one_of(what: str, known: tuple[str, ...], given: str | None) -> str:
    """Return `given`, or the first known name if it is `None`.

    Raises:
        RunnerError: `given` is not a known name.
    """
    if given is not None and given not in known:
        choices = " and ".join(map(repr, known))
        raise RunnerError(f"There is no {what} {given!r}; there are {choices}.")
    return given or known[0]
