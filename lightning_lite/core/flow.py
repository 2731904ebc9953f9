"""`lightning_lite.core.flow`: the import path that Lightning App has for `LightningFlow`."""

from lightning_lite.tree.flow import LightningFlow

__all__ = ["LightningFlow"]
