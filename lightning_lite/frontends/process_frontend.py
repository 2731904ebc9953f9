"""The base class of the frontends of this package: their server is a program of this package."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, ClassVar

from lightning_lite.extras import check_installed
from lightning_lite.frontends.base import Frontend
from lightning_lite.frontends.child_process import end_program, page_settings, start_program
from lightning_lite.frontends.port_owner import listens


class ProcessFrontend(Frontend):
    """A frontend whose server is a program of this package.

    Args:
        **settings: Settings of the program, as data that JSON can represent.

    Raises:
        ModuleNotFoundError: A package that the program needs is not installed.
    """

    #: The module of the program.
    _program: ClassVar[str]

    #: The packages that it needs, and the extra that brings them.
    _packages: ClassVar[tuple[str, ...]]
    _extra: ClassVar[str]

    def __init__(self, **settings: Any) -> None:
        check_installed(type(self).__name__, self._extra, *self._packages)
        self._settings = settings
        self._process: subprocess.Popen[Any] | None = None

    def is_like(self, other: Frontend) -> bool:
        """Return whether another frontend serves the same."""
        return type(other) is type(self) and getattr(other, "_settings", None) == self._settings

    def start_server(self, host: str, port: int, root_path: str = "") -> None:
        """Start the program.

        Args:
            host: Address to bind.
            port: Port to bind.
            root_path: Prefix of all paths behind a proxy.

        Raises:
            OSError: The system starts no process, or the log can't be written.
        """
        path = root_path.rstrip("/") + f"/{self.flow.name}"
        settings = page_settings(host, port, path, self.flow.name, self.run, **self._settings)
        with open(self.log, "ab") as log:
            self._process = start_program(self._program, [json.dumps(settings)], log)

    def stop_server(self) -> None:
        """End the program.

        Raises:
            RuntimeError: It was not started.
        """
        if self._process is None:
            raise RuntimeError("Server is not running. Call `start_server` before `stop_server`.")
        process, self._process = self._process, None
        end_program(process)

    def serves(self, host: str, port: int) -> bool:
        """Return whether the program listens on its port."""
        return self._process is not None and listens(host, port, self._process.pid)

    def failure(self) -> str | None:
        """Return the exit code of the program in words, if it has ended by itself."""
        code = None if self._process is None else self._process.poll()
        return None if code is None else f"its server has ended with the exit code {code}"


def locate_function(function: Callable[..., Any], owner: str) -> dict[str, str]:
    """Return the file or the module of a function, and its name there.

    Args:
        function: A function at the top level of a file.
        owner: The frontend, for errors.

    Raises:
        TypeError: It is a method, or it has no such place.
    """
    if inspect.ismethod(function):
        raise TypeError(
            f"The `{owner}` doesn't support a method as its function. Found {function!r}. Write a "
            "function at the top level of the file: it gets the state of the flow as its argument."
        )
    if not inspect.isfunction(function):
        raise TypeError(f"The `{owner}` needs a function. Found {function!r}.")
    name, module = function.__qualname__, function.__module__
    if not all(part.isidentifier() for part in name.split(".")):
        raise TypeError(
            f"The `{owner}` needs a function that its process can find by its name. Found {name}: write a "
            "function at the top level of the file."
        )
    if module == "__main__":
        file = getattr(sys.modules["__main__"], "__file__", None)
        if file is None:
            raise TypeError(
                f"The `{owner}` needs a function in a file, which its process loads. {name} was typed in."
            )
        return {"file": os.path.abspath(file), "function": name}
    return {"module": module, "function": name}
