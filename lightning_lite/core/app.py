"""`lightning_lite.core.app`: the import path that Lightning App has for `LightningApp`."""

from lightning_lite.app.app import LightningApp

__all__ = ["LightningApp"]
