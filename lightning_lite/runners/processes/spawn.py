"""Starts a Python program with exactly the environment, descriptors and settings that it is to inherit."""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Mapping, Sequence
from subprocess import _args_from_interpreter_flags  # type: ignore[attr-defined] # as multiprocessing has it
from typing import Any

from lightning_lite.runners.wire import interpreter_settings
from lightning_lite.runners.wire.work_signals import APP_SIGNALS
from lightning_lite.working_directory import working_directory_if_there


def inherited_settings(cwd: str | None) -> dict[str, Any]:
    """Return the search path, arguments, working directory and settings of this process.

    Args:
        cwd: Working directory of the work instead, or `None`.
    """
    here = working_directory_if_there()  # without one, the process of the work has none either
    if cwd is not None:
        cwd = os.path.join(here or "", cwd)
    return {
        "path": search_path(),
        "argv": list(map(str, sys.argv)),
        "cwd": cwd or here,
        "settings": interpreter_settings.capture(),
    }


def finder_modules() -> list[str]:
    """Return modules that a work imports first: each adds a finder of this process to `sys.meta_path`.

    A finder says so with an attribute `needed_in_works`, the name of the module; "" means not now.
    """
    found = [getattr(finder, "needed_in_works", None) for finder in sys.meta_path]
    return [module for module in found if isinstance(module, str) and module]


def search_path() -> list[str]:
    """Return the search path of this process, with absolute paths.

    Entries that are not text, such as a `pathlib.Path`, are left out: Python ignores them too.
    """
    here = working_directory_if_there()
    return [_absolute(entry, here) for entry in sys.path if isinstance(entry, str)]


def _absolute(entry: str, here: str | None) -> str:
    """Return an entry of the search path as an absolute path."""
    if here is None or os.path.isabs(entry):
        return entry
    if entry and not os.path.exists(entry):
        return entry  # not a path: the name of an import hook, as editable installs have
    return os.path.normpath(os.path.join(here, entry))


_WORKER = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "worker")


def spawn_program(
    program: str,
    arguments: Sequence[object],
    env: Mapping[str, str],
    inherited: Sequence[int],
    output: int | None,
) -> int:
    """Start a program of `runners/worker` in a process group of its own, and return its process id.

    It has the options of this interpreter and the null device as its standard input.

    Args:
        program: Name of its module, which has a `main`.
        arguments: Its arguments, as text.
        env: Its whole environment.
        inherited: Ends of pipes that it gets under the same numbers.
        output: Its standard output and standard error; `None` for the null device and our own.

    Raises:
        OSError: The system refuses.
        ValueError: A variable of the environment is invalid.
    """
    argv = [sys.executable, *interpreter_options(), *command(program), *map(str, arguments)]
    actions: list[Any] = [(os.POSIX_SPAWN_CLOSE, fd) for fd in _inheritable_fds()]
    if output is not None:
        actions += [(os.POSIX_SPAWN_DUP2, output, 1), (os.POSIX_SPAWN_DUP2, output, 2)]
    actions.append((os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0))
    if output is None:
        actions.append((os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0))
        if not _is_open(2):
            actions.append((os.POSIX_SPAWN_DUP2, 1, 2))
    actions += [(os.POSIX_SPAWN_DUP2, fd, fd) for fd in inherited]  # onto itself: inherited
    return os.posix_spawn(
        sys.executable, argv, env, file_actions=actions, setpgroup=0, setsigmask=APP_SIGNALS
    )


def interpreter_options() -> list[str]:
    """Return the options of this interpreter, as arguments for another one.

    `subprocess` leaves out most options that begin with `-X`, such as `pycache_prefix`.
    """
    options: list[str] = _args_from_interpreter_flags()
    for name, value in sys._xoptions.items():
        if name == "pycache_prefix" and isinstance(value, str):
            value = _absolute(value, working_directory_if_there())  # a work may start in another folder
        option = name if value is True else f"{name}={value}"
        if option not in options:
            options += "-X", option
    return options


def command(program: str) -> tuple[str, str]:
    """Return the arguments that run a program of `worker`; to compile a script costs 3 ms."""
    return "-c", f"import sys; sys.path.insert(0, {_WORKER!r}); import {program}; {program}.main()"


def _inheritable_fds() -> list[int]:
    """Return the inheritable descriptors of this process: its shell or user left them open."""
    found = []
    limit, _ = resource.getrlimit(resource.RLIMIT_NOFILE)  # above it, a descriptor can't be queried
    for name in os.listdir("/dev/fd"):
        fd = int(name)
        try:
            if 2 < fd < limit and os.get_inheritable(fd):
                found.append(fd)
        except OSError:
            pass  # closed by now, as the descriptor that listed the folder is
    return found


def _is_open(fd: int) -> bool:
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True
