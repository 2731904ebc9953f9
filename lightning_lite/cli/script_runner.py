"""Runs the app in a file: executes the file as a script, and calls `app.run()` if the script has not."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType, TracebackType

import click

from lightning_lite.app.app import LightningApp
from lightning_lite.app.session import Session
from lightning_lite.cli.options import BadInput
from lightning_lite.errors import (
    AppFailed,
    AppIdle,
    JournalError,
    NothingToResume,
    PoisonCall,
    RunnerError,
    SettingError,
)
from lightning_lite.lightning_app.finder import install

#: Installs the names of Lightning App in works, if the file has used one.
_INSTALLER = "lightning_lite.lightning"

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

#: Errors that are shown in one line, because a traceback does not help.
_WITHOUT_TRACEBACK = (
    AppFailed,
    AppIdle,
    JournalError,
    NothingToResume,
    PoisonCall,
    RunnerError,
    SettingError,
)


def run_file(path: str, args: Sequence[str]) -> None:
    """Run the app in a file, once.

    Args:
        path: The file; it becomes the program, with its folder in `sys.path` and its name in `sys.argv`.
        args: The arguments in its `sys.argv`.

    Raises:
        BadInput: It has run no app, and contains none or several.
        click.exceptions.Exit: It has raised an exception, which was printed.
        LightningLiteError: The app has failed, with an error that needs no traceback.
    """
    num_begun = Session.num_begun
    try:
        module = _execute(path, args)
        if Session.num_begun == num_begun:
            _find_app(module, path).run()
    except (click.ClickException, *_WITHOUT_TRACEBACK):
        raise
    except Exception as error:
        # Prints the exception as Python does for a script.
        error.__traceback__ = _without_our_frames(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        raise click.exceptions.Exit(1) from error


def load_app(path: str, args: Sequence[str]) -> LightningApp:
    """Execute a file as `__main__`, and return the app in it without running it.

    Args:
        path: The file, as for `run_file`.
        args: The arguments in its `sys.argv`.

    Raises:
        BadInput: It contains no app, or several.
    """
    return _find_app(_execute(path, args), path)


def _execute(path: str, args: Sequence[str]) -> ModuleType:
    """Execute a file as `__main__`, and return the module."""
    install(_INSTALLER)  # the file may have the imports of Lightning App
    path = os.path.abspath(path)
    module = ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module  # pickle and the identity of the app look up classes there
    sys.argv = [path, *args]
    sys.path.insert(0, os.path.dirname(path))
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def _find_app(module: ModuleType, path: str) -> LightningApp:
    """Return the app in a module; any variable may hold it.

    Raises:
        BadInput: There is none, or more than one.
    """
    found = {
        id(value): (name, value) for name, value in vars(module).items() if isinstance(value, LightningApp)
    }
    if not found:
        raise BadInput(
            f"The provided file {path} does not contain a LightningApp. Instantiate your app at the module "
            "level like so: `app = LightningApp(flow, ...)`"
        )
    if len(found) > 1:
        names = ", ".join(name for name, _ in found.values())
        raise BadInput(
            f"There should not be multiple apps instantiated within a file. Found {names} in {path}."
        )
    ((_, app),) = found.values()
    return app


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package at its beginning."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace
