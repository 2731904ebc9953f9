"""Helpers for tests of apps: empty components, hooks around a turn, one work alone, the command line.

Loaded on first use: a work that waits with `poll_until` needs nothing of the app.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning_lite.late_import import late_import

if TYPE_CHECKING:
    from lightning_lite.clock import ManualClock
    from lightning_lite.testing.apps import LightningTestApp
    from lightning_lite.testing.command_line import application_testing
    from lightning_lite.testing.empty_components import EmptyFlow, EmptyWork
    from lightning_lite.testing.isolated_work import run_work_isolated
    from lightning_lite.testing.waiting import poll_until

__all__ = [
    "EmptyFlow",
    "EmptyWork",
    "LightningTestApp",
    "ManualClock",
    "application_testing",
    "poll_until",
    "run_work_isolated",
]

_DEFINED_IN = {
    "EmptyFlow": "lightning_lite.testing.empty_components",
    "EmptyWork": "lightning_lite.testing.empty_components",
    "LightningTestApp": "lightning_lite.testing.apps",
    "ManualClock": "lightning_lite.clock",
    "application_testing": "lightning_lite.testing.command_line",
    "poll_until": "lightning_lite.testing.waiting",
    "run_work_isolated": "lightning_lite.testing.isolated_work",
}


def _load(name: str) -> Any:
    module = _DEFINED_IN.get(name)
    if module is None:
        raise AttributeError(f"module 'lightning_lite.testing' has no attribute {name!r}")
    return getattr(late_import(module), name)


if not TYPE_CHECKING:  # a type checker that sees it accepts each misspelled name
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted([*globals(), *_DEFINED_IN])
