"""What apps are tested with: stand-ins, hooks around a pass, one work alone, a clock turned by hand."""

from __future__ import annotations

from lightning_lite.clock import ManualClock
from lightning_lite.testing.apps import LightningTestApp
from lightning_lite.testing.components import EmptyFlow, EmptyWork
from lightning_lite.testing.isolation import run_work_isolated
from lightning_lite.testing.waiting import poll_until

__all__ = ["EmptyFlow", "EmptyWork", "LightningTestApp", "ManualClock", "poll_until", "run_work_isolated"]
