"""Where the process of a frontend finds a function of the user."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable
from typing import Any


def place_of(function: Callable[..., Any], owner: str) -> dict[str, str]:
    """Return the file or the module of a function, and its name there.

    Args:
        function: A function at the top level of a file.
        owner: The frontend, for errors.

    Raises:
        TypeError: It is a method, or it has no such place.
    """
    if inspect.ismethod(function):
        raise TypeError(
            f"The `{owner}` doesn't support its function being a method. Found {function!r}. Write a "
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
