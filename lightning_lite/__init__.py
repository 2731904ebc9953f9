"""Lightning Apps without the cloud and without a server.

A flow coordinates in the main process, each work runs in a process of its own, and works share files
through drives. The packages, from the highest layer to the lowest; a module imports its own layer or a
lower one. Three modules of `frontends` form a layer below `app`:

    cli · testing · lightning_app    the command line; helpers for tests; existing Lightning Apps
    components                       ready-made works and flows
    web · frontends                  the page and its API; servers of pages that flows show
    core · structures · app_state    old import paths of Lightning App; the state of a running app
    monitor                          reads and controls runs, for the command line and the page
    app                              LightningApp, one run of it, background, notebook
    engine                           the two state machines; history and recording of a run
    tree                             flows, works, the records of calls, schedules
    storage · runners · runs · ui    files; processes; the folder of a run; the terminal
    values                           how values become bytes
    errors messages events ...       the ground layer

The path of one call: `tree.work` → `engine.machine` → `runners` → `engine.work_machine` in the process of the
work, and back.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # see light_typing: importing typing would cost each work 10 ms

if TYPE_CHECKING:
    from typing import Any

    from lightning_lite.app.app import LightningApp
    from lightning_lite.app.background import RunningApp
    from lightning_lite.app.end_hooks import RunEnd
    from lightning_lite.distribution import __version__ as __version__
    from lightning_lite.storage.drive import Drive
    from lightning_lite.storage.path import Path
    from lightning_lite.storage.payload import Payload
    from lightning_lite.tree.cloud import BuildConfig, CloudCompute
    from lightning_lite.tree.flow import LightningFlow
    from lightning_lite.tree.work import LightningWork
    from lightning_lite.values.secret import Secret

__all__ = [
    "BuildConfig",
    "CloudCompute",
    "Drive",
    "LightningApp",
    "LightningFlow",
    "LightningWork",
    "Path",
    "Payload",
    "RunEnd",
    "RunningApp",
    "Secret",
]

# Loaded on first use: the process of each work imports this module, and needs only a part of it.
_DEFINED_IN = {
    "BuildConfig": "lightning_lite.tree.cloud",
    "CloudCompute": "lightning_lite.tree.cloud",
    "Drive": "lightning_lite.storage.drive",
    "LightningApp": "lightning_lite.app.app",
    "LightningFlow": "lightning_lite.tree.flow",
    "LightningWork": "lightning_lite.tree.work",
    "Path": "lightning_lite.storage.path",
    "Payload": "lightning_lite.storage.payload",
    "RunEnd": "lightning_lite.app.end_hooks",
    "RunningApp": "lightning_lite.app.background",
    "Secret": "lightning_lite.values.secret",
    "__version__": "lightning_lite.distribution",
}


def _load(name: str) -> Any:
    module = _DEFINED_IN.get(name)
    if module is None:
        raise AttributeError(f"module 'lightning_lite' has no attribute {name!r}")
    if sys.platform == "win32" and name in __all__:
        raise ImportError("lightning_lite runs on Linux and macOS. On Windows, run it within WSL.")
    __import__(module)  # importlib would cost each work another millisecond
    return getattr(sys.modules[module], name)


if not TYPE_CHECKING:  # a type checker that sees it accepts each misspelled name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted([*globals(), *_DEFINED_IN])
