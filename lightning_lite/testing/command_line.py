"""Runs the app in a file with the command line, in the process of a test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any
from unittest import mock

from click.testing import CliRunner, Result

from lightning_lite.app import app as app_module
from lightning_lite.cli.main import group
from lightning_lite.errors import LightningLiteError
from lightning_lite.testing.apps import LightningTestApp
from lightning_lite.tracebacks import RemoteTraceback

_FACADE = sys.modules[__name__.partition(".")[0]]


def application_testing(
    lit_app_cls: type[LightningTestApp[Any]] = LightningTestApp, command_line: Sequence[str] = ()
) -> Result:
    """Run the app in a file, with another class in place of `LightningApp`.

    Args:
        lit_app_cls: The class that the file gets under the name `LightningApp`.
        command_line: The file, and the options and arguments of `lightning-lite run`.

    Returns:
        The result of click: `exit_code`, and `stdout` with the output of the flow and the works.

    Raises:
        Exception: The exception of the flow, or of a hook of `lit_app_cls`: a failed `assert`, for example.

    Example:
        >>> with open("app.py", "w") as file:
        ...     _ = file.write('''
        ... from lightning_lite import LightningApp, LightningFlow
        ... class Hello(LightningFlow):
        ...     def run(self):
        ...         self.stop("Hello!")
        ... app = LightningApp(Hello())
        ... ''')
        >>> application_testing(command_line=["app.py"]).stdout.splitlines()
        ['Hello!']
    """
    with (
        mock.patch.object(app_module, "LightningApp", lit_app_cls),
        mock.patch.dict(vars(_FACADE), {"LightningApp": lit_app_cls}),
        _kept_process() as shown,
    ):
        result = CliRunner().invoke(group, ["run", *command_line])
    for error in (*shown, result.exception):
        is_of_work = error is not None and isinstance(error.__cause__, RemoteTraceback)
        if error is not None and not is_of_work and not isinstance(error, LightningLiteError | SystemExit):
            raise error
    return result


@contextmanager
def _kept_process() -> Iterator[list[BaseException]]:
    """Restore at the end the globals that a script and the command line change in their process.

    Yields:
        The exceptions that the command line shows, as Python shows the exceptions of a script.
    """
    argv, path, main, show = sys.argv, list(sys.path), sys.modules["__main__"], sys.excepthook
    shown: list[BaseException] = []

    def keep(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        shown.append(error)
        show(kind, error, trace)

    with mock.patch.dict(os.environ), mock.patch.object(sys, "excepthook", keep):
        try:
            yield shown
        finally:
            sys.argv, sys.path[:] = argv, path
            sys.modules["__main__"] = main
