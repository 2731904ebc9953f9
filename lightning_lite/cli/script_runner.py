"""Runs the app in a file: executes the file as a script, and calls `app.run()` if the script has not."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType, TracebackType

import click

from lightning_lite.app.app import LightningApp
from lightning_lite.app.script_loader import execute_script, find_app
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
    install(_INSTALLER)  # the file may have the imports of Lightning App
    num_begun = Session.num_begun
    try:
        module = execute_script(path, args)
        if Session.num_begun == num_begun:
            _app_in(module, path).run()
    except (click.ClickException, *_WITHOUT_TRACEBACK):
        raise
    except Exception as error:
        # Prints the exception as Python does for a script.
        error.__traceback__ = _without_our_frames(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        raise click.exceptions.Exit(1) from error


def _app_in(module: ModuleType, path: str) -> LightningApp:
    """Return the app in a module.

    Raises:
        BadInput: There is none, or more than one.
    """
    try:
        return find_app(module, path)
    except LookupError as error:
        raise BadInput(str(error)) from None


def _without_our_frames(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package at its beginning."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace
