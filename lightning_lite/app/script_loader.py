"""Executes a file as the script, and finds the app in it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from types import ModuleType

from lightning_lite.app.app import LightningApp


def execute_script(path: str, args: Sequence[str]) -> ModuleType:
    """Execute a file as `__main__`, and return the module.

    Args:
        path: The file; it becomes the program, with its folder in `sys.path` and its name in `sys.argv`.
        args: The arguments in its `sys.argv`.

    Raises:
        OSError: The file can't be read.
        Exception: The exception of the file.
    """
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


def find_app(module: ModuleType, path: str) -> LightningApp:
    """Return the app in a module; any variable may hold it.

    Args:
        module: The module.
        path: Its file, for the error.

    Raises:
        LookupError: There is none, or more than one.

    Example:
        >>> find_app(ModuleType("__main__"), "words.py")
        Traceback (most recent call last):
        LookupError: The provided file words.py does not contain a LightningApp. Instantiate your app at ...
    """
    found = {
        id(value): (name, value) for name, value in vars(module).items() if isinstance(value, LightningApp)
    }
    if not found:
        raise LookupError(
            f"The provided file {path} does not contain a LightningApp. Instantiate your app at the module "
            "level like so: `app = LightningApp(flow, ...)`"
        )
    if len(found) > 1:
        names = ", ".join(name for name, _ in found.values())
        raise LookupError(
            f"There should not be multiple apps instantiated within a file. Found {names} in {path}."
        )
    ((_, app),) = found.values()
    return app
