"""A drive in a notebook: a table of its files and folders."""

from __future__ import annotations

from lightning_lite.html_tables import html_table, html_title
from lightning_lite.quantity_text import format_bytes, format_time
from lightning_lite.storage.base import Entry


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
            format_time(entry.time),
            entry.owner,
        )
        for entry in entries
    ]
    return html_title(title) + html_table(["name", "size", "time", "owner"], rows)
