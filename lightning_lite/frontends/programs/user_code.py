"""Loads the code of the user in the process of a frontend."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Callable, Mapping
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from operator import attrgetter
from threading import Lock
from typing import Any

from lightning_lite.app_state import FLOW_VARIABLE, RUN_VARIABLE, AppState
from lightning_lite.settings import FRONTEND_VARIABLE

#: The name of the module of the user's file: another one than `__main__`, so that its main part is not run.
_MODULE = "__lightning_lite_app__"

_loaded_at: dict[str, int] = {}

#: Streamlit draws the page for each visitor in a thread of its own.
_lock = Lock()

#: The settings that the app has sent to this program.
_settings: dict[str, Any] = {}


def prepare(settings: Mapping[str, Any]) -> None:
    """Prepare this process for code of the user.

    `app.run()` does nothing from here on. The value of the variable is this process, so that a program that
    the page starts may run an app all the same.

    Args:
        settings: The settings that the app has sent to the program.
    """
    _settings.update(settings)
    os.environ[FRONTEND_VARIABLE] = str(os.getpid())
    os.environ[FLOW_VARIABLE] = settings["flow"]
    os.environ[RUN_VARIABLE] = settings["run"]
    # At the end, so that a file next to the script hides no module of the server.
    sys.path += [entry for entry in settings["sys_path"] if entry not in sys.path]
    for module in settings["imports"]:
        import_module(module)


def setting(name: str) -> Any:
    """Return a setting that the app has sent to this program."""
    return _settings[name]


def find_function() -> Callable[[], Any]:
    """Return the function of the user without arguments; its file is loaded again after a change.

    If it has a parameter, it gets the state of the flow that shows the page. `prepare` was called before.
    """
    file = _settings.get("file")
    if file is None:
        module = import_module(_settings["module"])
    else:
        with _lock:  # so that no thread gets a module that another one still executes
            module = _load(file, _settings["argv"])
    function = attrgetter(_settings["function"])(module)
    if not inspect.signature(function).parameters:
        return function  # type: ignore[no-any-return]
    return lambda: function(AppState())


def _load(file: str, argv: list[str]) -> Any:
    """Return the module of a file; it sees the arguments of the app."""
    changed = os.stat(file).st_mtime_ns
    if _loaded_at.get(file) != changed:
        own, sys.argv = sys.argv, list(argv)
        spec = spec_from_file_location(_MODULE, file)
        assert spec is not None
        assert spec.loader is not None
        module = module_from_spec(spec)
        sys.modules[_MODULE] = module
        try:
            spec.loader.exec_module(module)
        finally:
            sys.argv = own
        _loaded_at[file] = changed
    return sys.modules[_MODULE]
