"""Shows the work and its app to `multiprocess` and `multiprocessing` in the process of the work.

Both packages keep an object for the current and one for the parent process, and make them when they are
imported. Most works import neither, so an import hook waits for them.
"""

from __future__ import annotations

import os
import sys

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from importlib.abc import Loader
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Any

_MODULES = ("multiprocess.process", "multiprocessing.process")


def register(work: str, parent: int) -> None:
    """Set the current and the parent process of both packages, now or when they are imported.

    Args:
        work: Name of the work, which becomes the name of the current process.
        parent: Process id of the app.
    """
    finder = _Finder(work, parent)
    for name in _MODULES:
        if (module := sys.modules.get(name)) is not None:
            finder.set_processes(module)
    sys.meta_path.insert(0, finder)


class _Finder:
    """Finds the two modules as the other finders do, and sets their processes after they were executed."""

    def __init__(self, work: str, parent: int) -> None:
        self._work = work
        self._parent = parent
        self._pid = os.getpid()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Return the spec of another finder, with a loader that calls `set_processes`."""
        if name not in _MODULES or os.getpid() != self._pid:
            return None  # a process that the work has forked has another name and parent
        for finder in sys.meta_path:
            # From 3.12 on, Python passes over a finder without `find_spec`.
            find_spec = getattr(finder, "find_spec", None)
            if finder is self or find_spec is None:
                continue
            spec: ModuleSpec | None = find_spec(name, path, target)
            if spec is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
                return spec
        return None

    def set_processes(self, module: Any) -> None:
        """Set the current and the parent process of a package."""
        module.current_process().name = self._work
        if hasattr(os, "pidfd_open"):
            try:
                sentinel = os.pidfd_open(self._parent)
            except OSError:
                return  # the app has died, or the system gives no pidfd: the user's import must not fail
            # No function sets it: `multiprocessing` does so in its own start code.
            module._parent_process = module._ParentProcess("MainProcess", self._parent, sentinel)


class _Loader:
    """Executes a module with its own loader, and sets its processes."""

    def __init__(self, loader: Loader, finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        if name == "_loader":
            raise AttributeError(name)  # a copy that has no attributes yet
        return getattr(self._loader, name)  # `get_source` and others, before the module is executed

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """Create the module as its own loader does."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Execute the module with its own loader, which `inspect` asks for the source."""
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._finder.set_processes(module)
