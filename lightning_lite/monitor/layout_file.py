"""The layout of the flows of a run, for the page: the one that the app has noted in the folder of the run."""

from __future__ import annotations

import json
import os
from typing import Any

from lightning_lite.regular_files import open_regular
from lightning_lite.runs.catalog import RunSummary
from lightning_lite.runs.folder import LAYOUT

#: Maximum of bytes of a layout that is read.
_LIMIT = 8 * 1024 * 1024


def shows_something(run: RunSummary) -> bool:
    """Return whether the flows of a run show something, or have shown it."""
    return os.path.lexists(os.path.join(run.path, LAYOUT))


def read_layout(run: RunSummary) -> dict[str, Any]:
    """Return the layout of the flows of a run; without addresses if its process has ended.

    Args:
        run: The run, as it is now.
    """
    root = _read(os.path.join(run.path, LAYOUT))
    is_running = run.state == "running"
    if root is not None and not is_running:
        _forget_addresses(root)
    return {"running": is_running, "root": root}


def find_page(root: dict[str, Any], url: str) -> bool:
    """Return whether a layout has a page with this address."""
    return (bool(url) and root["url"] == url) or any(find_page(tab, url) for tab in root["tabs"])


def _read(path: str) -> Any:
    try:
        with open(open_regular(path), "rb") as file:
            return json.loads(file.read(_LIMIT))
    except (OSError, ValueError):  # there is none
        return None


def _forget_addresses(tab: dict[str, Any]) -> None:
    """Remove the addresses: another program may have these ports by now."""
    if tab["kind"] == "page":
        tab["url"], tab["note"] = "", "The run has ended."
    for inner in tab["tabs"]:
        _forget_addresses(inner)
