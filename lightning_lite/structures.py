"""`lightning_lite.structures`: the import path that Lightning App has for `List` and `Dict`."""

from lightning_lite.tree.structures import Dict, List

__all__ = ["Dict", "List"]
