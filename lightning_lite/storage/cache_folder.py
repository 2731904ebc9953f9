"""The folder of this user for copies and notes that can be made again."""

from __future__ import annotations

import os


def default_folder() -> str:
    """Return the folder of this user for caches."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        base = os.path.expanduser("~/.cache")
    return f"{base}/lightning_lite"
