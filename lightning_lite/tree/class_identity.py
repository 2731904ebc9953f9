"""Identifies a class in different runs: by module, or path of the script, and qualified name."""

from __future__ import annotations

import os
import sys
from typing import Any


def class_identity(cls: type[Any]) -> tuple[str, str]:
    """Return module and qualified name of a class; for a class of the script, the path of the script."""
    module = cls.__module__
    if module == "__main__":
        path = getattr(sys.modules["__main__"], "__file__", None)
        module = os.path.abspath(path) if path else "__main__"
    return module, cls.__qualname__
