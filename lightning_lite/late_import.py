"""Imports a module of this package where it is first used, because most processes never need it.

`tests/architecture/test_late_imports.py` names each such module with the reason. All others are imported at
the top.
"""

from __future__ import annotations

import sys

from lightning_lite.light_typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


def late_import(name: str) -> Any:
    """Import a module of this package, and return it.

    Args:
        name: Its full name, which the calling module has as a text, so that the tests of the layers see it.

    Raises:
        ImportError: The module needs a package that is not installed.

    Example:
        >>> late_import("lightning_lite.distribution").NAME
        'lightning-lite-apps'
    """
    __import__(name)  # importlib would cost each work another millisecond
    return sys.modules[name]
