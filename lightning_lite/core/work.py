"""`lightning_lite.core.work`: the import path that Lightning App has for `LightningWork`."""

from lightning_lite.tree.work import LightningWork

__all__ = ["LightningWork"]
