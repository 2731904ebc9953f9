"""A drive in a notebook: a table of its files and folders."""

from __future__ import annotations

import time

from lightning_lite.html_tables import html_table, html_title
from lightning_lite.storage.base import Entry
from lightning_lite.text import format_bytes


def table(title: str, entries: list[Entry]) -> str:
    """Return entries as an HTML table; only the first hundred are shown, the rest is counted.

    Args:
        title: Title of the table.
        entries: The rows.
    """
    rows = [
        (
            f"{entry.name}/" if entry.is_folder else entry.name,
            "" if entry.is_folder else format_bytes(entry.size),
            time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(entry.time)),
            entry.owner,
        )
        for entry in entries
    ]
    return html_title(title) + html_table(["name", "size", "time", "owner"], rows)
