"""`List` and `Dict` of components, at the import path of Lightning App."""

from lightning_lite.tree.structures import Dict, List

__all__ = ["Dict", "List"]
