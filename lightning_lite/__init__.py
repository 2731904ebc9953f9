"""Lightning Apps without the cloud and without a server.

A flow coordinates in this process, each work does its job in a process of its own, drives carry
files between them. The house, lowest floor first; a module imports its own floor or lower:

    cli · testing                                           what tests and terminals use
    core.app core.session                                   put machine, runner and run together
    core.machine                                            letters in, a pass of the flow, letters out
    core.component core.flow core.work core.calls …         the tree that users write
    structures                                              lists and dicts of components
    storage · runners · runs · ui                           files, processes, run folders, terminal
    errors messages clock settings context travel packing state   what all of them speak

The path of one call: `core.work` → `core.machine` → `runners` → `core.host` in the child → back.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False  # see light_typing; typing itself would cost each child 20 ms

if TYPE_CHECKING:
    from typing import Any

    from lightning_lite.app.app import LightningApp
    from lightning_lite.app.background import RunningApp
    from lightning_lite.tree.cloud import BuildConfig, CloudCompute
    from lightning_lite.tree.flow import LightningFlow
    from lightning_lite.tree.work import LightningWork

__version__ = "0.1.0"

__all__ = ["BuildConfig", "CloudCompute", "LightningApp", "LightningFlow", "LightningWork", "RunningApp"]

# Loaded on first use: every work's process imports this module, and few need all of it.
_HOMES = {
    "BuildConfig": "lightning_lite.tree.cloud",
    "CloudCompute": "lightning_lite.tree.cloud",
    "LightningApp": "lightning_lite.app.app",
    "LightningFlow": "lightning_lite.tree.flow",
    "LightningWork": "lightning_lite.tree.work",
    "RunningApp": "lightning_lite.app.background",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'lightning_lite' has no attribute {name!r}")
    if sys.platform == "win32":
        raise ImportError("lightning_lite runs on Linux and macOS. On Windows, run it within WSL.")
    __import__(home)  # importlib would cost each child another millisecond
    return getattr(sys.modules[home], name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOMES])
