"""A flow and a work that do nothing."""

from __future__ import annotations

from lightning_lite.tree.flow import LightningFlow
from lightning_lite.tree.work import LightningWork


class EmptyFlow(LightningFlow):
    """A flow whose `run` does nothing."""

    def run(self) -> None:
        """Do nothing."""


class EmptyWork(LightningWork):
    """A work whose `run` does nothing."""

    def run(self) -> None:
        """Do nothing."""
