"""Scripts of users: their file, their arguments, and how they ended."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from typing import Any

from lightning_lite.errors import ComponentError, ScriptFailed
from lightning_lite.runners.exit_status import exit_code_of


def check_script(path: str, folder: str | None = None) -> None:
    """Refuse a script that is not there.

    Args:
        path: The script; relative to `folder`.
        folder: A folder; `None` means the working directory.

    Raises:
        FileNotFoundError: There is no such file; the message names the place where it was looked for.
    """
    place = os.path.abspath(os.path.join(folder or "", path))
    if os.path.isfile(place):
        return
    found = "a folder" if os.path.isdir(place) else "no file"
    raise FileNotFoundError(
        f"The provided `script_path` {path!r} wasn't found: there is {found} at {place}. A relative path "
        "starts at the working directory of the work; pass an absolute one, or cwd=..."
    )


def arguments_of(script_args: Any, what: str) -> list[str]:
    """Return the arguments of a script as a list.

    Args:
        script_args: A text, which is split as in a shell; a list of values; or `None`.
        what: The component, for the message.

    Raises:
        ComponentError: It is something else, or a text with an open quote.

    Example:
        >>> arguments_of("--name 'two words' --rate=0.1", "Script")
        ['--name', 'two words', '--rate=0.1']
        >>> arguments_of(["--rate", 0.1], "Script")
        ['--rate', '0.1']
    """
    if script_args is None:
        return []
    if isinstance(script_args, list | tuple):
        return [str(argument) for argument in script_args]
    try:
        if isinstance(script_args, str):
            return shlex.split(script_args)
        problem = "it must be a text or a list"
    except ValueError as error:
        problem = f"{error}; pass a list, in which nothing is split"
    raise ComponentError(
        f"{what}(script_args={script_args!r}): {problem}.", argument="script_args", found=script_args
    )


def plain_variables(env: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the environment variables that are plain texts.

    A `Secret` is left out: it is in the environment of the process of the work already.

    Args:
        env: The argument `env` of a work.

    Example:
        >>> plain_variables({"RATE": "0.1"}), plain_variables(None)
        ({'RATE': '0.1'}, {})
    """
    return {name: value for name, value in (env or {}).items() if isinstance(value, str)}


def check_end(script: str, end: SystemExit) -> None:
    """Return if a script has ended well with `sys.exit`.

    Args:
        script: Path of the script.
        end: The exception of `sys.exit`.

    Raises:
        ScriptFailed: Its exit code is not 0. A text, which Python would print, means 1.

    Example:
        >>> check_end("train.py", SystemExit(0))
        >>> check_end("train.py", SystemExit("no data"))
        Traceback (most recent call last):
        lightning_lite.errors.ScriptFailed: The script 'train.py' has ended with exit code 1: no data
    """
    code = end.code
    if code is None or code == 0:
        return
    text = "" if isinstance(code, int) else f": {code}"
    number = exit_code_of(end)
    raise ScriptFailed(
        f"The script {script!r} has ended with exit code {number}{text}", script=script, exit_code=number
    ) from end
