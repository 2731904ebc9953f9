"""Lets the children of `multiprocessing` import the names of Lightning App, too.

A child with the start method spawn, as of `torch.multiprocessing.spawn`, executes the script again before
anything of its parent arrives, except the preparation data: a dict of which it unpickles all values, and
uses those that it knows. One more value there, which adds the finder when it is unpickled, is the only place
before the script. `multiprocessing` has no hook for that, so this replaces the function that makes the dict.
"""

from __future__ import annotations

from functools import wraps

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType
    from typing import Any

#: The module of `multiprocessing` with the function.
SPAWN = "multiprocessing.spawn"


class _Finder:
    """Adds the finder where it is unpickled.

    Args:
        installer: The module that adds the finder where it is imported.
        path: The `sys.path` of the parent: it may be the only one that has the module.
    """

    def __init__(self, installer: str, path: list[str]) -> None:
        self._installer = installer
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        # A builtin function: a child that can't import this package must not fail because of it.
        return exec, (_INSTALL, {"path": self._path, "name": self._installer})


_INSTALL = """
import sys
own, sys.path = sys.path, path
try:
    __import__(name)
except ImportError:
    pass
sys.path = own
"""


def add_finder_to_children(spawn: ModuleType, needed: Callable[[], str]) -> None:
    """Let each child that is spawned from now on have the finder before it executes the script.

    Args:
        spawn: The module `multiprocessing.spawn`.
        needed: Returns the module that adds the finder where it is imported; "" while no child needs it.
    """
    make: Callable[[str], dict[str, Any]] = spawn.get_preparation_data

    @wraps(make)
    def make_with_finder(name: str) -> dict[str, Any]:
        data = make(name)
        installer = needed()
        if installer:
            data["lightning_lite"] = _Finder(installer, data["sys_path"])
        return data

    spawn.get_preparation_data = make_with_finder  # type: ignore[attr-defined]
