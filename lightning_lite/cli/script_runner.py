"""Running the app in a file: as Python runs a script, and if that does not call `run()`, by calling it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType, TracebackType

import click

from lightning_lite.app.app import LightningApp
from lightning_lite.app.session import Session
from lightning_lite.cli.options import BadInput
from lightning_lite.errors import AppFailed, JournalError, NothingToResume, PoisonCall, RunnerError

_HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep

#: Errors shown in one line: the place where they were raised does not help.
_PLAIN = (AppFailed, JournalError, NothingToResume, PoisonCall, RunnerError)


def run_file(path: str, args: Sequence[str]) -> None:
    """Run the app in a file, once.

    Args:
        path: The file; it is the program from now on, with its folder in `sys.path` and its own `sys.argv`.
        args: What its `sys.argv` holds behind its name.

    Raises:
        BadInput: It holds no app, or several, and has run none.
        click.exceptions.Exit: It has failed, and the reason was printed.
        LightningLiteError: The app has failed in a way that its message says best.
    """
    num_begun = Session.num_begun
    try:
        module = _execute(path, args)
        if Session.num_begun == num_begun:
            _find_app(module, path).run()
    except (click.ClickException, *_PLAIN):
        raise
    except Exception as error:
        # Ends as Python would end with the same exception.
        error.__traceback__ = _without_ours(error.__traceback__)
        sys.excepthook(type(error), error, error.__traceback__)
        raise click.exceptions.Exit(1) from error


def _execute(path: str, args: Sequence[str]) -> ModuleType:
    """Run a file as `__main__`, and return what it has become."""
    path = os.path.abspath(path)
    module = ModuleType("__main__")
    module.__file__ = path
    sys.modules["__main__"] = module  # where pickle, and what an app is called by, look for its classes
    sys.argv = [path, *args]
    sys.path.insert(0, os.path.dirname(path))
    with open(path, "rb") as file:
        code = compile(file.read(), path, "exec", dont_inherit=True)
    exec(code, module.__dict__)
    return module


def _find_app(module: ModuleType, path: str) -> LightningApp:
    """Return the app in a module, under any name.

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


def _without_ours(trace: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of ours that it begins with."""
    while trace is not None and trace.tb_frame.f_code.co_filename.startswith(_HERE):
        trace = trace.tb_next
    return trace
