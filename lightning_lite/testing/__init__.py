"""Helpers for tests of apps: empty components, hooks around a turn, one work alone, the command line."""

from __future__ import annotations

from lightning_lite.clock import ManualClock
from lightning_lite.testing.apps import LightningTestApp
from lightning_lite.testing.command_line import application_testing
from lightning_lite.testing.components import EmptyFlow, EmptyWork
from lightning_lite.testing.isolation import run_work_isolated
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
